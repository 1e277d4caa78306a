"""What a generator predicts at the border of a photo and nowhere else, and by how much its deep features are off.

    python tools/measure_borders.py lite out/final.safetensors --photos photos-valid.tar --limit 100

Prints for each of the weights, at 256 px in float32, chroma in 8-bit levels:
- flat: photos of one gray have nothing to color, so their chroma should be the same everywhere. The largest
  difference, of Cb or Cr, between the mean of a corner and that of the middle.
- photos: mean chroma of each corner and edge minus that of the middle, over the first photos of a folder or tar. True
  skies and floors are in it, so compare weights with one another.
- offset: how far, in pixels, the path through the deepest features moves what it sees: where the decoder shows an
  impulse in a cell, minus where the encoder looks for that cell, both as centres of mass relative to the cell's centre
  (right and down are positive). Strides, padding and blur decide it, so every kernel is a plain mean here.
"""

import argparse
import io
from itertools import islice
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from deoldify_lite import color
from deoldify_lite.modeling.layers import SelfAttention
from deoldify_lite.modeling.weights import load_generator
from deoldify_lite.sources import list_sources, read_sources

SIDE, STRIP, CELL = 256, 32, 32  # pixels: of photos; of corners and edges; of a cell of the deepest features
CORNERS = {"top left": (0, 0), "top right": (0, -1), "bottom left": (-1, 0), "bottom right": (-1, -1)}
EDGES = {"top": (0, None), "bottom": (-1, None), "left": (None, 0), "right": (None, -1)}


def region(chroma: Tensor, down: int | None, across: int | None) -> Tensor:
    "Mean Cb and Cr (2) of a region of (2, SIDE, SIDE): 0 the first `STRIP` pixels, -1 the last, None the middle half."
    parts = {0: slice(STRIP), -1: slice(-STRIP, None), None: slice(SIDE // 4, -SIDE // 4)}
    return chroma[:, parts[down], parts[across]].mean((1, 2))


@torch.inference_mode()
def predict(generator: nn.Module, luma: Tensor) -> Tensor:
    "Luma (SIDE, SIDE) in [0, 1] to Cb and Cr (2, SIDE, SIDE) in 8-bit levels."
    return generator.chroma(color.normalize(luma.expand(1, 3, -1, -1)))[0] * 255


def at_the_border(chroma: Tensor, regions: dict) -> dict[str, Tensor]:
    "Each region's mean Cb and Cr minus the middle's."
    return {name: region(chroma, *place) - region(chroma, None, None) for name, place in regions.items()}


def on_photos(generator: nn.Module, photos: Path, limit: int) -> tuple[dict[str, Tensor], int]:
    "The differences of corners and edges, averaged over at most `limit` photos; and how many there were."
    predictions = []
    for _, source in islice(read_sources(list_sources([photos])), limit):
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        gray = ImageOps.fit(image.convert("L"), (SIDE, SIDE), Image.Resampling.BICUBIC)
        predictions.append(predict(generator, pil_to_tensor(gray)[0] / 255))
    return at_the_border(sum(predictions) / len(predictions), CORNERS | EDGES), len(predictions)


def centre(weights: Tensor, cell: int) -> Tensor:
    "Centre of mass (right, down) of weights (H, W), relative to the centre of a cell on the diagonal."
    places = torch.arange(len(weights), dtype=weights.dtype) - (cell * CELL + (CELL - 1) / 2)
    return torch.stack([weights.sum(axis) @ places for axis in (0, 1)]) / weights.sum()


@torch.no_grad()
def averaging(generator: nn.Module) -> nn.Module:
    "The generator, changed in place, with means for kernels and maxima, and without what looks at the whole picture."
    generator.cast = 1.0
    for name, module in list(generator.named_modules()):
        if isinstance(module, nn.Conv2d):
            module.weight.fill_(0.5 / module.weight[0].numel())  # half, so that sums with shortcuts stay small
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            module.bias.fill_(0.01)  # every ReLU lets all through
        elif isinstance(module, nn.MaxPool2d):
            generator.set_submodule(name, nn.AvgPool2d(module.kernel_size, module.stride, module.padding))
        elif isinstance(module, SelfAttention):
            module.gamma.zero_()
    return generator.double()


def deep_offset(generator: nn.Module, cell: int = 10) -> tuple[Tensor, Tensor]:
    "Where the encoder looks for the middle cell, and where the decoder shows an impulse in it: (right, down), pixels."
    side = (2 * cell + 1) * CELL
    x = torch.full((1, 3, side, side), 0.3, dtype=torch.float64, requires_grad=True)
    *skips, deepest = averaging(generator).encoder(x)
    (seen,) = torch.autograd.grad(deepest[0, :, cell, cell].sum(), x)
    impulse = torch.zeros_like(deepest)
    impulse[..., cell, cell] = 100  # chroma is float32
    plain = generator.chroma(x)
    generator.encoder.register_forward_hook(lambda *_: [*skips, deepest + impulse])
    shown = (generator.chroma(x) - plain).detach()
    return centre(seen[0].sum(0), cell), centre(shown[0].sum(0), cell)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--limit", type=int, default=100)
    options = parser.parse_args()
    for name in options.weights:
        generator = load_generator(name)
        print(name)
        for level in (64, 128, 192):
            corners = at_the_border(predict(generator, torch.full((SIDE, SIDE), level / 255)), CORNERS)
            print(f"  flat, {level}: {max(float(corner.abs().max()) for corner in corners.values()):.1f}")
        if options.photos:
            differences, count = on_photos(generator, options.photos, options.limit)
            print(f"  photos (n = {count}), Cb and Cr:")
            print(*(f"    {place}: {cb:+.1f} {cr:+.1f}" for place, (cb, cr) in differences.items()), sep="\n")
        looks, shows = deep_offset(generator)
        for part, (right, down) in {"encoder": looks, "decoder": shows, "together": shows - looks}.items():
            print(f"  offset, {part}: {right:+.1f} right, {down:+.1f} down")


if __name__ == "__main__":
    main()
