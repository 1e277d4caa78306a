"""What it costs to store an exported network's weights in fewer bits: LPIPS to the ground truth, and bytes.

Beside the ways of `deoldify-lite export` there is ONNX Runtime's static quantization, in which activations have 8 bit,
too; its ranges are those of the first photos.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image
from torchvision.transforms.functional import to_tensor

from deoldify_lite.colorize.engine import Engine
from deoldify_lite.evaluate.protocol import Protocol
from deoldify_lite.evaluate.references import find_references
from deoldify_lite.metrics.image import Lpips
from deoldify_lite.modeling.export import STORAGE, trace
from deoldify_lite.modeling.weights import default_render_factor, load_generator
from deoldify_lite.photo import photo_from_image

from .results import Result

SIZE = 256  # pixels of the center crop
CALIBRATED = 50  # photos
STATIC = "static int8"


def measure_stored(name: str, weights: Path, photos: list[Path], limit: int, scratch: Path) -> list[Result]:
    "LPIPS of the pictures of each kind of file, what it is above float32's, distance from those, and bytes."
    references, _ = find_references(photos)
    crops = [reference.crop(SIZE) for reference in Protocol(limit=limit).choose(references)]
    engine, lpips = Engine(weights, "cpu", "float32"), Lpips()
    factor = default_render_factor(weights, load_generator(weights).config)
    grays = [photo_from_image(crop.convert("L")) for crop in crops]
    inputs = [as_luma(engine.preprocess(gray, factor)) for gray in grays]
    exact, results = None, []
    for storage, path in exported(weights, inputs, scratch).items():
        predict = session(path)
        pictures = [engine.merge(gray, predict(luma)) for gray, luma in zip(grays, inputs)]
        with torch.inference_mode():
            scores = [float(lpips(to_tensor(p)[None], to_tensor(c)[None])) for p, c in zip(pictures, crops)]
        exact = exact or (scores, pictures)
        above = [a - b for a, b in zip(scores, exact[0])]
        near = [100 * (np.abs(a.astype(int) - b) <= 2).mean() for a, b in zip(pictures, exact[1])]
        content = path.read_bytes()
        title = f"stored: {name} as {storage}, render factor {factor}, {SIZE} x {SIZE}"
        mean = {"middle": float(np.mean(scores))}, {"middle": float(np.mean(above))}, {"middle": float(np.mean(near))}
        results += [
            Result(title, "LPIPS, mean", "", scores, **mean[0]),
            Result(title, "above float32, mean", "", above, "target for int8: at most 0.002", **mean[1]),
            Result(title, "within 2 levels of float32, mean", "%", near, **mean[2]),
            Result(title, "file", "MB", [len(content) / 1e6]),
            Result(title, "file, compressed", "MB", [len(gzip.compress(content)) / 1e6]),
        ]
    return results


def as_luma(image: Image.Image) -> np.ndarray:
    return (np.asarray(image, np.float32) / 255)[None, None]


def session(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    running = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda luma: running.run(["chroma"], {"luma": luma})[0][0]


def exported(weights: Path, inputs: list[np.ndarray], scratch: Path) -> dict[str, Path]:
    "The network as ONNX files, by how they store it; float32 first."
    model, paths = trace(load_generator(weights)), {}
    for storage, (store, _) in STORAGE.items():
        stored = onnx.ModelProto()
        stored.CopyFrom(model)
        store(stored)
        paths[storage] = scratch / f"{storage}.onnx"
        onnx.save(stored, paths[storage])
    prepared, paths[STATIC] = scratch / "prepared.onnx", scratch / "static.onnx"
    quant_pre_process(paths["float32"], prepared, skip_symbolic_shape=True)
    quantize_static(prepared, paths[STATIC], Photos(inputs[:CALIBRATED]), per_channel=True, weight_type=QuantType.QInt8)
    return paths


class Photos(CalibrationDataReader):
    def __init__(self, inputs: list[np.ndarray]):
        self.feeds = iter([{"luma": luma} for luma in inputs])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)
