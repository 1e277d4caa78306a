"""What a generator predicts at the border of a photo and nowhere else, and by how much its deep features are off.

    python tools/measure_borders.py lite resnet34 out/final.safetensors --photos photos-valid.tar --limit 100

Prints for each of the weights, all at 256 px and in float32, chroma in 8-bit levels:

- flat: photos of one gray have nothing to color, so their chroma should be the same everywhere. The largest
  difference, of Cb or Cr, between the mean of a corner and that of the middle.
- photos: mean chroma over photos of each corner and edge minus that of the middle. True skies and floors are in it,
  so compare weights with one another.
- offset: how far, in pixels, the path through the deepest features moves what it sees: where the decoder shows a change
  of the middle cell, minus where the encoder looks for that cell, both relative to the cell's centre (centres of mass
  of squared changes; right and down are positive).
"""

import argparse
import io
from functools import partial
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from deoldify_lite import color
from deoldify_lite.modeling.weights import load_generator
from deoldify_lite.sources import list_sources, read_sources

SIDE, STRIP, CELL = 256, 32, 32  # pixels: of the photos; of corners and edges; of a cell of the deepest features
CORNERS = {"top left": (0, 0), "top right": (0, -1), "bottom left": (-1, 0), "bottom right": (-1, -1)}
EDGES = {"top": (0, None), "bottom": (-1, None), "left": (None, 0), "right": (None, -1)}


def region(chroma: Tensor, down: int | None, across: int | None) -> Tensor:
    "Mean Cb and Cr (2) of a region of (2, SIDE, SIDE): 0 the first `STRIP` pixels, -1 the last, None the middle half."
    parts = {0: slice(0, STRIP), -1: slice(SIDE - STRIP, SIDE), None: slice(SIDE // 4, SIDE - SIDE // 4)}
    return chroma[:, parts[down], parts[across]].mean((1, 2))


@torch.inference_mode()
def predict(generator: nn.Module, luma: Tensor) -> Tensor:
    "Luma (SIDE, SIDE) in [0, 1] to Cb and Cr (2, SIDE, SIDE) in 8-bit levels."
    return generator.chroma(color.normalize(luma.expand(1, 3, -1, -1)))[0] * 255


def at_the_border(chroma: Tensor, regions: dict) -> dict[str, Tensor]:
    "Each region's mean Cb and Cr minus the middle's."
    return {name: region(chroma, *place) - region(chroma, None, None) for name, place in regions.items()}


def on_flat_gray(generator: nn.Module, level: int) -> float:
    differences = at_the_border(predict(generator, torch.full((SIDE, SIDE), level / 255)), CORNERS)
    return max(float(difference.abs().max()) for difference in differences.values())


def on_photos(generator: nn.Module, photos: Path, limit: int) -> tuple[dict[str, Tensor], int]:
    "The differences of corners and edges, averaged over at most `limit` photos; and how many there were."
    total, count = torch.zeros(2, SIDE, SIDE), 0
    for _, source in read_sources(list_sources([photos])):
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        gray = ImageOps.fit(image.convert("L"), (SIDE, SIDE), Image.Resampling.BICUBIC)
        total, count = total + predict(generator, pil_to_tensor(gray)[0] / 255), count + 1
        if count == limit:
            break
    return at_the_border(total / count, CORNERS | EDGES), count


def centre(weights: Tensor, cell: int) -> Tensor:
    "Centre of mass (right, down) of weights (H, W), relative to the centre of a cell on the diagonal."
    places = torch.arange(len(weights)) - (cell * CELL + (CELL - 1) / 2)
    return torch.stack([weights.sum(axis) @ places for axis in (0, 1)]) / weights.sum()


def add_to_deepest(change: Tensor, _module: nn.Module, _inputs: tuple, features: list[Tensor]) -> list[Tensor]:
    return [*features[:-1], features[-1] + change]


def deep_offset(generator: nn.Module, draws: int = 8) -> tuple[Tensor, Tensor]:
    "Where the encoder looks for the middle cell, and where the decoder shows a change of it: (right, down), pixels."
    cell, side, draw = 4, 9 * CELL, torch.Generator().manual_seed(0)
    luma = (0.5 + 0.1 * torch.randn(1, 1, side, side, generator=draw)).clamp(0, 1)
    x = color.normalize(luma.expand(-1, 3, -1, -1)).requires_grad_()
    deepest = generator.encoder(x)[-1]
    seen, shown = torch.zeros(side, side), torch.zeros(side, side)
    plain = generator.chroma(x).detach()
    for _ in range(draws):
        direction = torch.randn(deepest.shape[1], generator=draw)
        (gradient,) = torch.autograd.grad(deepest[0, :, cell, cell] @ direction, x, retain_graph=True)
        seen += gradient[0].square().sum(0)
        change = torch.zeros_like(deepest)
        change[0, :, cell, cell] = direction * deepest.std().detach()
        hook = generator.encoder.register_forward_hook(partial(add_to_deepest, change))
        with torch.no_grad():
            shown += (generator.chroma(x) - plain)[0].square().sum(0)
        hook.remove()
    return centre(seen, cell), centre(shown, cell)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", help="names or files")
    parser.add_argument("--photos", type=Path, help="a folder or tar")
    parser.add_argument("--limit", type=int, default=100, help="how many photos at most")
    options = parser.parse_args()
    for name in options.weights:
        generator = load_generator(name)
        flat = ", ".join(f"{on_flat_gray(generator, level):.1f} at {level}" for level in (64, 128, 192))
        print(f"{name}\n  flat: {flat}")
        if options.photos:
            differences, count = on_photos(generator, options.photos, options.limit)
            print(f"  photos (n = {count}), Cb and Cr:")
            print(*(f"    {place}: {cb:+.1f} {cr:+.1f}" for place, (cb, cr) in differences.items()), sep="\n")
        looks, shows = deep_offset(generator)
        for part, offset in {"encoder": looks, "decoder": shows, "together": shows - looks}.items():
            print(f"  offset, {part}: {offset[0]:+.1f} right, {offset[1]:+.1f} down")


if __name__ == "__main__":
    main()
