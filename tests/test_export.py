"""ONNX files: they answer as torch does at every size, say what they are, and are not kept when they are wrong."""

import copy
import hashlib
import re
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from deoldify_lite import Colorizer, __version__
from deoldify_lite.cli import program
from deoldify_lite.modeling import export as exporting
from deoldify_lite.modeling.export import ExportRefused, LumaToChroma, export_onnx
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import find_weights
from deoldify_lite.models import MODELS
from deoldify_lite.samples import sample_photos
from helpers.networks import excited

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/export.md").read_text()

needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")), reason="an extra: export"
)


def script(*arguments: str | Path):
    return CliRunner().invoke(program, ["export", *map(str, arguments)], env={"COLUMNS": "200", "TERM": "dumb"})


def colorful(generator: nn.Module) -> nn.Module:
    """Nothing in it that does nothing, and strong colours."""
    nn.init.normal_(generator.layers[-1].weight, std=0.2, generator=torch.Generator().manual_seed(1))
    return excited(generator)


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    torch.manual_seed(0)
    return colorful(build_generator("lite", "test_resnet", padding="replicate", smooth=True, cast=0.7, magenta=0.3))


@pytest.fixture(scope="module")
def tiny_file(tiny, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "folder that is not there yet" / "tiny.onnx"
    differences = export_onnx(tiny, path, {"licence": "none"})
    assert len(differences) == 3
    assert max(differences.values()) < 1e-5
    return path


def run(path: Path, luma: torch.Tensor) -> torch.Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["chroma"], {"luma": luma.numpy()})[0])


def compare(path: Path, generator: nn.Module, shape: tuple[int, int, int]) -> float:
    batch, height, width = shape
    luma = torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = LumaToChroma(generator)(luma)
    assert expected.shape == (batch, 2, height, width)
    assert height * width < 32 * 32 or expected.std() > 0.01  # colours that could be wrong
    return float((run(path, luma) - expected).abs().max())


@needs_onnx
@pytest.mark.parametrize(
    "shape", [(1, 64, 64), (3, 33, 31), (1, 97, 160), (2, 34, 63), (1, 17, 250), (1, 8, 5), (1, 1, 1)]
)
def test_answers_as_torch_at_every_size(tiny, tiny_file, shape):
    assert compare(tiny_file, tiny, shape) < 1e-5


@needs_onnx
@pytest.mark.slow
def test_efficientnet_pads_even_and_odd_sides_differently(tmp_path):
    torch.manual_seed(0)
    head = {"smooth": True, "cast": 0.7, "magenta": 0.3}
    generator = colorful(build_generator("lite", "tf_efficientnet_lite0", padding="replicate", **head))
    assert max(export_onnx(generator, tmp_path / "lite.onnx").values()) < 1e-4
    for shape in [(1, 64, 96), (2, 33, 31), (1, 34, 63), (1, 17, 250), (1, 1, 1)]:
        assert compare(tmp_path / "lite.onnx", generator, shape) < 1e-4


@needs_onnx
@pytest.mark.slow
def test_deoldifys_generators_too(tmp_path):
    """They paint RGB, of which the file gives the chroma. No weights needed: any will do to compare."""
    torch.manual_seed(0)
    deep = colorful(build_generator("deep"))
    assert max(export_onnx(deep, tmp_path / "deep.onnx").values()) < 1e-4
    assert compare(tmp_path / "deep.onnx", deep, (1, 41, 64)) < 1e-4


@needs_onnx
def test_the_contract(tiny_file):
    """Names, types, free axes; an opset and a file format that old runtimes know; what the file says of itself."""
    import onnx

    model = onnx.load(tiny_file)
    signature = [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
        )
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert signature == [
        ("luma", onnx.TensorProto.FLOAT, ["batch", 1, "height", "width"]),
        ("chroma", onnx.TensorProto.FLOAT, ["batch", 2, "height", "width"]),
    ]
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert model.ir_version == 8
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["deoldify_lite"] == model.producer_version == __version__
    assert "test_resnet" in about["network"]
    assert about["licence"] == "none"


@needs_onnx
def test_nothing_of_the_machine_is_in_the_file(tiny_file):
    content = tiny_file.read_bytes()
    assert b"site-packages" not in content
    assert str(ROOT).encode() not in content


@needs_onnx
def test_half_is_half_the_file_and_the_same_colours(tiny, tiny_file, tmp_path, monkeypatch):
    import onnx

    monkeypatch.setattr(exporting, "trace", lambda generator: onnx.load(tiny_file))
    half = tmp_path / "half.onnx"
    worst = max(export_onnx(tiny, half, storage="float16").values())
    assert 0 < worst < 2e-3
    assert half.stat().st_size < 0.52 * tiny_file.stat().st_size
    assert run(half, torch.rand(1, 1, 32, 32)).dtype == torch.float32


@needs_onnx
@pytest.mark.parametrize(
    ("wrong", "said"), [(0.001, "differs from torch by"), (float("nan"), "nan"), (None, "cannot use")]
)
def test_a_wrong_file_is_refused(tiny, tiny_file, tmp_path, monkeypatch, wrong, said):
    """Colours a little off, not a number, or no valid graph: no file, and the one that was there stays."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(tiny_file)
    if wrong is None:
        model.graph.node[0].op_type = "NoSuchOperator"
    else:
        half = next(t for t in model.graph.initializer if t.name in model.graph.node[-1].input)  # of sigmoid - 0.5
        half.CopyFrom(numpy_helper.from_array(np.float32(0.5 + wrong).reshape(()), half.name))
    monkeypatch.setattr(exporting, "trace", lambda generator: copy.deepcopy(model))
    with pytest.raises(ExportRefused, match=said):
        export_onnx(tiny, tmp_path / "new.onnx")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old.onnx").write_text("from last year")
    with pytest.raises(ExportRefused):
        export_onnx(tiny, tmp_path / "old.onnx")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["from last year"]


@needs_onnx
def test_one_size_that_gives_no_numbers_is_enough(tiny, tiny_file, tmp_path, monkeypatch):
    import onnx

    monkeypatch.setattr(exporting, "trace", lambda generator: onnx.load(tiny_file))
    monkeypatch.setattr(exporting, "compare", lambda path, generator: {(1, 1, 1): 0.0, (2, 1, 1): float("nan")})
    with pytest.raises(ExportRefused, match="nan"):
        export_onnx(tiny, tmp_path / "new.onnx")
    assert not list(tmp_path.iterdir())


@needs_onnx
def test_the_script_ends_with_1_when_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "trace", lambda generator: pytest.importorskip("onnx").ModelProto())
    monkeypatch.setattr(exporting, "describe", lambda model, metadata: None)
    result = script(tmp_path / "lite.onnx")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxscript" else object())
    result = script(tmp_path / "lite.onnx")
    assert result.exit_code == 3
    assert result.stderr == 'error: exporting needs onnxscript: pip install "deoldify_lite[export]"\n'
    assert not list(tmp_path.iterdir())


def test_bad_weights(tmp_path):
    (tmp_path / "bad.safetensors").write_text("these are not weights")
    for weights in (tmp_path / "bad.safetensors", tmp_path / "missing.pth"):
        result = script(tmp_path / "lite.onnx", "--weights", weights)
        assert result.exit_code == 3
        assert weights.name in result.stderr
    assert not (tmp_path / "lite.onnx").exists()


@needs_onnx
def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path, tmp_path / "file" / "lite.onnx"):
        result = script(target)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {target}: ")
        assert result.stderr.count("\n") == 1


def test_licences_are_told_apart(weights, tmp_path):
    (tmp_path / "ColorizeArtistic_gen.pth").write_bytes(b"")
    ours, theirs = MODELS["lite"].path, tmp_path / "ColorizeArtistic_gen.pth"
    licences = [exporting.about_weights(path, 128)["licence"] for path in (ours, weights, theirs)]
    assert "model card" in licences[0]
    assert "their maker's" in licences[1]
    assert "Jason Antic" in licences[2]


@needs_onnx
def test_int8_is_for_large_layers_only(tiny, tiny_file, tmp_path, monkeypatch):
    import onnx

    monkeypatch.setattr(exporting, "trace", lambda generator: onnx.load(tiny_file))
    monkeypatch.setattr(exporting, "LARGE", 2000)
    export_onnx(tiny, tmp_path / "int8.onnx", storage="int8")
    stored = defaultdict(list)
    for tensor in onnx.load(tmp_path / "int8.onnx").graph.initializer:
        stored[tensor.data_type].append(int(np.prod(tensor.dims)))
    assert min(stored[onnx.TensorProto.INT8]) >= 2000 > max(stored[onnx.TensorProto.FLOAT16])
    assert 0 < compare(tmp_path / "int8.onnx", tiny, (1, 64, 96)) < exporting.TOLERANCE_INT8


@needs_onnx
def test_int8_is_right_where_a_channel_is_all_zeros():
    import onnx
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    values = np.linspace(-3, 3, 4 * 60_000, dtype=np.float32).reshape(4, -1)
    values[2] = 0
    out = helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, values.shape)
    node = helper.make_node("Identity", ["weight"], ["w"])
    graph = helper.make_graph([node], "g", [], [out], [numpy_helper.from_array(values, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", exporting.OPSET)])
    exporting.store_int8(model)
    (found,) = ReferenceEvaluator(model).run(None, {})
    assert (found[2] == 0).all()
    assert np.abs(found - values).max() <= 3 / 127 / 2 + 1e-6


def test_half_or_int8(tmp_path):
    result = script(tmp_path / "lite.onnx", "--half", "--int8")
    assert result.exit_code == 2 and "not both" in result.stderr


@needs_onnx
@pytest.mark.slow
def test_what_ships_is_exported_and_timed(exported_lite):
    path, said = exported_lite
    import onnx

    about = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert about["weights_sha256"] == hashlib.sha256(find_weights("lite").read_bytes()).hexdigest()
    assert about["working_side"] == str(16 * MODELS["lite"].render_factor)
    assert said.count("from torch at most") == 3
    assert max(map(float, re.findall(r": (\S+) from torch", said))) < 1e-4
    assert f"{path.stat().st_size / 1e6:.1f} MB" in said
    assert re.search(r"onnxruntime is [\d.]+ times as fast as torch", said)


@needs_onnx
@pytest.mark.slow
def test_the_pages_python_gives_the_same_colours(exported_lite, tmp_path, monkeypatch):
    """The example is run as it stands. It clips colours where the package fits them, hence the tolerance."""
    photo = sample_photos().get("grace_hopper.jpg") or pytest.skip("comes with matplotlib")
    grey = Image.open(photo).convert("L")
    grey.save(tmp_path / "photo.jpg", quality=95)
    (tmp_path / "lite.onnx").symlink_to(exported_lite[0])
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {})
    colorizer = Colorizer(device="cpu", precision="float32", render_factor=MODELS["lite"].render_factor)
    ours = np.asarray(colorizer.colorize(grey), float)
    theirs = np.asarray(Image.open("colour.jpg"), float)
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).mean() < 3
    assert np.abs(theirs - np.asarray(grey, float)[..., None]).mean() > 6  # and the grey is not that near


def test_the_page_tells_the_truth():
    """Its commands exist, and its figures are the package's."""
    known = set(re.findall(r"--[a-z]+", script("--help").output))
    assert set(re.findall(r" (--[a-z]+)", PAGE)) <= known
    lite, deep = 16 * MODELS["lite"].render_factor, 16 * MODELS["deep"].render_factor
    assert f"a square of {lite} (`lite`) or {deep} (`deep` and `wide`)" in PAGE
    assert f"SIDE = {lite}, STRIDE = {exporting.STRIDE};" in PAGE
    assert f"Opset {exporting.OPSET} " in PAGE
    assert exporting.TOLERANCE == 0.0001
    assert exporting.TOLERANCE_HALF == 0.002
    assert exporting.TOLERANCE_INT8 == 0.02
    assert f"{exporting.LARGE:,} weights" in (ROOT / "docs/web.md").read_text()
