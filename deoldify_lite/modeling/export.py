"""A generator as an ONNX file, for those who run it without torch: in a browser, on a phone. See docs/export.md.

The file's network takes luma and gives chroma, both as a colorizer has them; all normalisation is inside. Batch, height
and width are free. A file that does not answer as torch does is not written.
"""

import copy
import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn

from .. import __version__, color
from ..errors import DeoldifyError, Unavailable
from ..files import atomic_path, sha256
from ..models import MODELS, shipped
from .backbones import SameConv
from .fold import fold
from .generator import STRIDE

if TYPE_CHECKING:
    from onnx import ModelProto

# Opset 18 and the file format of its time: tried with ONNX Runtime 1.15 (May 2023) and current ones.
OPSET, FILE_FORMAT = 18, 8

# What is compared with torch: batch, height, width. Even and odd, upright and lying, one and several.
CHECKED_SIZES = ((1, 64, 96), (2, 67, 101), (1, 97, 33))
TOLERANCE = 1e-4
TOLERANCE_HALF = 2e-3  # half a level of 8 bit
TOLERANCE_INT8 = 2e-2
LARGE = (
    200_000  # weights, from which on a layer is stored in 8 bit. The small first layers of an encoder bear it badly.
)

TRACED_SIZE = (2, 1, 64, 96)  # only an example; two of the batch, since torch takes one as a constant
AXES = ("batch", None, "height", "width")


class ExportUnavailable(Unavailable, RuntimeError):
    "A package that exporting needs is not installed. The message says which and how to get it."


class ExportRefused(DeoldifyError, RuntimeError):
    "The network cannot be exported, or the file does not answer as torch does. Nothing is written."


class LumaToChroma(nn.Module):
    "What goes into the file: luma (N, 1, H, W) in [0, 1] -> Cb and Cr (N, 2, H, W) in [-0.5, 0.5]."

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.generator = generator

    def forward(self, luma: Tensor) -> Tensor:
        return self.generator.chroma(color.normalize(luma.expand(-1, 3, -1, -1)))


class _OnnxSameConv(nn.Module):
    """TensorFlow's padding as ONNX spells it.

    How much is padded depends on whether a side is odd; written out as arithmetic on sizes, layer upon layer, it
    takes torch's exporter hours and the graph dozens of nodes.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        height, width = ((side - 1) // stride + 1 for side, stride in zip(x.shape[-2:], conv.stride))
        attributes = {"auto_pad": "SAME_UPPER", "group": conv.groups}
        if conv.padding_mode == "replicate":
            x, attributes["auto_pad"] = self._repeat_border(x), "VALID"
        inputs = [x, conv.weight] + ([] if conv.bias is None else [conv.bias])
        attributes |= {"strides": conv.stride, "dilations": conv.dilation, "kernel_shape": conv.kernel_size}
        shape = (x.shape[0], conv.out_channels, height, width)
        return torch.onnx.ops.symbolic("Conv", inputs, attributes, dtype=x.dtype, shape=shape)

    def _repeat_border(self, x: Tensor) -> Tensor:
        "`x` padded as `SameConv` does, by -side modulo stride, plus what the kernel is larger than the stride."
        conv, node = self.conv, torch.onnx.ops.symbolic
        integers = {"dtype": torch.int64, "shape": (2,)}
        stride, excess = torch.tensor(conv.stride), torch.tensor(conv.kernel_size) - torch.tensor(conv.stride)
        sides = node("Shape", [x], {"start": 2}, **integers)
        short = node("Mod", [node("Neg", [sides], **integers), stride], **integers)
        both = node("Add", [short, excess], **integers)
        before = node("Div", [both, torch.tensor((2, 2))], **integers)
        after = node("Sub", [both, before], **integers)
        margins = node("Concat", [before, after], {"axis": 0}, dtype=torch.int64, shape=(4,))
        # Without a constant to pad with; of height and width. The shape is not the true one, which nothing needs: the
        # convolution states its own.
        inputs = [x, margins, None, torch.tensor((2, 3))]
        return node("Pad", inputs, {"mode": "edge"}, dtype=x.dtype, shape=x.shape)


def export_onnx(
    generator: nn.Module, path: Path, metadata: dict[str, str] | None = None, *, storage: str = "float32"
) -> dict[tuple[int, int, int], float]:
    """Write a generator to an ONNX file, atomically, after checking it against torch with ONNX Runtime.

    Args:
        generator: in eval mode, on the CPU, as `load_generator` gives it.
        metadata: goes into the file, beside the package's version and the network's description.
        storage: how weights are stored, a name in `STORAGE`. Input, output and arithmetic are float32 with all.

    Returns:
        The largest difference from torch's chroma for each checked size (batch, height, width).

    Raises:
        ExportUnavailable: onnx, onnxscript or onnxruntime is not installed.
        ExportRefused: torch cannot export the network, or the file's answers are not torch's.
        OSError: `path` cannot be written.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ExportUnavailable(f'exporting needs {" and ".join(missing)}: pip install "deoldify_lite[export]"')
    if generator.config["architecture"] == "pix2pix":
        raise ExportRefused("networks of the pix2pix family cannot be exported, only lite, lite-rgb, deep and wide")
    import onnx

    with atomic_path(path) as temporary:
        model = trace(generator)
        store, tolerance = STORAGE[storage]
        store(model)
        describe(model, {"network": json.dumps(generator.config)} | (metadata or {}))
        onnx.save(model, temporary)
        differences = compare(temporary, generator)
        worst = float(torch.tensor([*differences.values()]).max())  # if one is not a number, neither is this
        if not worst <= tolerance:
            raise ExportRefused(f"{path}: differs from torch by {worst:.1e}, which is more than {tolerance:.0e}")
    return differences


def trace(generator: nn.Module) -> "ModelProto":
    "The graph of a generator's `LumaToChroma`, BatchNorm folded in, for any batch, height and width."
    network = LumaToChroma(_with_onnx_padding(fold(generator))).eval()
    free = {axis: torch.export.Dim.DYNAMIC for axis, name in enumerate(AXES) if name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter about itself
        try:
            program = torch.onnx.export(
                network,
                (torch.rand(TRACED_SIZE),),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["luma"],
                output_names=["chroma"],
                dynamic_shapes=[free],
                custom_translation_table={torch.ops.aten.scaled_dot_product_attention.default: _attention},
            )
        except torch.onnx.OnnxExporterError as error:
            raise ExportRefused(f"torch cannot turn {generator.config} into ONNX: {_reason(error)}") from error
    return _tidy(program.model_proto)


def _reason(error: BaseException) -> str:
    "What was at the bottom of it, in a line. The exporter's own message is a page of advice to developers."
    while error.__cause__:
        error = error.__cause__
    return next(iter(str(error).splitlines()), type(error).__name__)


def _with_onnx_padding(generator: nn.Module) -> nn.Module:
    generator = copy.deepcopy(generator)
    for name, module in list(generator.named_modules()):
        if isinstance(module, (SameConv, Conv2dSame)):
            generator.set_submodule(name, _OnnxSameConv(module))
    return generator


def _attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=1.0, enable_gqa=False):
    "Attention in ONNX's words. torch's own translation takes no less than four dimensions."
    from onnxscript import opset18 as op

    *batch, rows, columns = range(len(key.shape))
    likeness = op.MatMul(query, op.Transpose(key, perm=[*batch, columns, rows]))
    return op.MatMul(op.Softmax(op.Mul(likeness, op.CastLike(scale, likeness)), axis=-1), value)


def _tidy(model: "ModelProto") -> "ModelProto":
    "Name the free axes, and drop what the exporter notes for its developers: source lines, paths, shapes in symbols."
    graph = model.graph
    for value in (*graph.input, *graph.output):
        for dimension, name in zip(value.type.tensor_type.shape.dim, AXES):
            if name:
                dimension.dim_param = name
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    del graph.value_info[:]
    model.ir_version = FILE_FORMAT
    return model


def store_half(model: "ModelProto") -> None:
    "Store weights in float16, in place. They become float32 as the file is loaded, so nothing else changes."
    _store(model, _in_half)


def store_int8(model: "ModelProto") -> None:
    """Store the weights of layers with at least `LARGE` of them in 8 bit, and others in float16, in place.

    Of each output channel, the largest weight is 127; its scale is beside it. They, too, become float32 as the file is
    loaded.
    """
    _store(model, lambda name, values: (_in_int8 if values.size >= LARGE else _in_half)(name, values))


def _store(model: "ModelProto", shorten: Callable[[str, np.ndarray], tuple[list, list]]) -> None:
    "Replace the weights by the tensors, and the nodes that make the weights of them, that `shorten` gives."
    from onnx import TensorProto, numpy_helper

    tensors, nodes = [], []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:  # biases are small and matter more
            shortened, restoring = shorten(tensor.name, numpy_helper.to_array(tensor))
            tensors += shortened
            nodes += restoring
        else:
            tensors.append(tensor)
    for field, items in ((model.graph.initializer, tensors), (model.graph.node, [*nodes, *model.graph.node])):
        items = [copy.deepcopy(item) for item in items]
        del field[:]
        field.extend(items)


def _in_half(name: str, values: np.ndarray) -> tuple[list, list]:
    from onnx import TensorProto, helper, numpy_helper

    tensor = numpy_helper.from_array(values.astype(np.float16), f"{name}_half")
    return [tensor], [helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT)]


def _in_int8(name: str, values: np.ndarray) -> tuple[list, list]:
    from onnx import TensorProto, helper, numpy_helper

    largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    scale = np.maximum(largest, 1e-12) / 127  # a channel may be all zeros
    tensor = numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{name}_int8")
    scales = numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale")
    nodes = [
        helper.make_node("Cast", [tensor.name], [f"{name}_integers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}_integers", scales.name], [name]),
    ]
    return [tensor, scales], nodes


# How weights are stored: what changes a float32 model in place, and how far chroma may then be from torch's.
STORAGE = {
    "float32": (lambda model: None, TOLERANCE),
    "float16": (store_half, TOLERANCE_HALF),
    "int8": (store_int8, TOLERANCE_INT8),
}


def describe(model: "ModelProto", metadata: dict[str, str]) -> None:
    "Say in the file what it is and how it is used."
    from onnx import helper

    model.producer_name, model.producer_version = "deoldify_lite", __version__
    model.doc_string = (
        "Colour for black-and-white photographs. Resize chroma to the photo and put it on the photo's luma."
    )
    model.graph.input[0].doc_string = "Y of BT.601 as in JPEG, in [0, 1]"
    model.graph.output[0].doc_string = "Cb and Cr of BT.601 as in JPEG, in [-0.5, 0.5]"
    helper.set_model_props(model, {"deoldify_lite": __version__} | metadata)


def about_weights(path: Path, side: int) -> dict[str, str]:
    """Metadata of a file with the weights at `path`.

    `side` advises on the network's working size: as many pixels as a square of this side.
    """
    model = next((model for model in shipped() if model.path == path), None)
    if model:
        licence = f"{model.licence}; about the weights see the model card ({model.card} of deoldify_lite)"
    elif path.suffix == ".safetensors":
        licence = "the code is MIT; the weights are their maker's"
    else:
        licence = MODELS["deep"].licence
    return {
        "weights_sha256": sha256(path),
        "working_side": str(side),
        "stride": str(STRIDE),
        "licence": licence,
    }


@torch.inference_mode()
def compare(path: Path, generator: nn.Module) -> dict[tuple[int, int, int], float]:
    """Largest difference between the chroma of an ONNX file and that of a generator, for each of `CHECKED_SIZES`.

    Raises:
        ExportRefused: the file is not valid ONNX, or ONNX Runtime fails on it.
    """
    import onnx
    import onnxruntime

    network, draw = LumaToChroma(generator), torch.Generator().manual_seed(0)
    differences = {}
    try:
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for batch, height, width in CHECKED_SIZES:
            luma = torch.rand(batch, 1, height, width, generator=draw)
            (chroma,) = session.run(["chroma"], {"luma": luma.numpy()})
            differences[batch, height, width] = float((torch.from_numpy(chroma) - network(luma)).abs().max())
    except Exception as error:  # ONNX Runtime's errors have no class in common
        raise ExportRefused(f"ONNX Runtime cannot use what was exported: {error}") from error
    return differences
