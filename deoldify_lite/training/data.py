"""Photos on disk -> batches on the device.

A photo is decoded once, shrunk to what a stage needs and packed into one flat uint8 file (`pack`). Batches are cut
from it on the training device: crop, zoom, rotation and flip are one bilinear gather, so that neither a pool of
workers nor a queue is needed and any batch can be made again from its step number alone.
"""

import hashlib
import json
import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import color
from ..files import atomic_path, remove_leftovers, write_atomically
from ..photo import BadPhoto, read_rgb
from ..schedule import Augment
from ..sources import NoPhotos, read_sources

log = logging.getLogger(__name__)


def is_validation(name: str, fraction: float) -> bool:
    "Whether the photo `name` belongs to the validation split: decided by its name alone, the same in every run."
    return (
        int.from_bytes(hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=4).digest(), "big")
        < fraction * 2**32
    )


class Pack:
    """Photos as one flat uint8 tensor with an index: HWC, one behind the other, each of its own height and width.

    Memory-mapped, so that several packs cost no more memory than the pages in use; `to` puts it on a GPU.
    """

    def __init__(self, pixels: Tensor, names: list[str], heights: Tensor, widths: Tensor):
        self.pixels, self.names, self.heights, self.widths = pixels, names, heights, widths
        sizes = heights * widths * 3
        self.offsets = sizes.cumsum(0) - sizes

    def __len__(self) -> int:
        return len(self.names)

    @property
    def device(self) -> torch.device:
        return self.pixels.device

    def to(self, device: torch.device) -> "Pack":
        "The same photos on `device`, or these where the memory there does not suffice."
        if device.type == "cuda" and self.pixels.numel() < torch.cuda.mem_get_info(device)[0] // 2:
            return Pack(self.pixels.to(device), self.names, self.heights, self.widths)
        return self

    def photo(self, i: int) -> Tensor:
        "Photo `i` whole, (3, H, W) in [0, 1]."
        h, w, start = int(self.heights[i]), int(self.widths[i]), int(self.offsets[i])
        return self.pixels[start : start + h * w * 3].reshape(h, w, 3).permute(2, 0, 1).float() / 255

    def crops(self, index: Tensor, size: int, augment: Augment | None, generator: torch.Generator) -> Tensor:
        """Square crops (N, 3, size, size) in [0, 1], on the pack's device.

        `augment` None gives the middle of each photo, as large as it goes. Places outside are mirrored in.
        """
        n = len(index)
        h, w = self.heights[index].float(), self.widths[index].float()
        if augment is None:
            zoom, flip, angle = torch.ones(n), torch.ones(n), torch.zeros(n)
            shift_y = shift_x = torch.full((n,), 0.5)
        else:
            draw = torch.rand(5, n, generator=generator)
            zoom = 1 + draw[0] * (augment.zoom - 1)
            flip = torch.where(draw[1] < augment.flip, -1.0, 1.0)
            angle = (draw[2] * 2 - 1) * math.radians(augment.rotate)
            shift_y, shift_x = draw[3], draw[4]
        side = torch.minimum(h, w) / zoom
        step = (torch.arange(size) + 0.5) / size - 0.5  # sample points across a crop, in sides from its middle
        gy, gx = torch.meshgrid(step, step, indexing="ij")
        cos, sin = (side * angle.cos())[:, None, None], (side * angle.sin())[:, None, None]
        middle_y = side / 2 + (h - side) * shift_y
        middle_x = side / 2 + (w - side) * shift_x
        y = middle_y[:, None, None] + cos * gy + sin * gx - 0.5
        x = middle_x[:, None, None] + flip[:, None, None] * (cos * gx - sin * gy) - 0.5
        return self._bilinear(index, y, x)

    def _bilinear(self, index: Tensor, y: Tensor, x: Tensor) -> Tensor:
        "Colours (N, 3, S, S) in [0, 1] at the places `y`, `x` (N, S, S) of each photo."
        h, w = (side[index][:, None, None] for side in (self.heights, self.widths))
        y, x = _mirrored(y, h), _mirrored(x, w)
        y0, x0 = y.floor().long(), x.floor().long()
        fy, fx = ((y - y0).to(self.device)[..., None], (x - x0).to(self.device)[..., None])
        start = self.offsets[index][:, None, None]

        def rows(yy: Tensor) -> Tensor:
            left, right = (self._gather(start + (yy * w + xx) * 3) for xx in (x0, torch.minimum(x0 + 1, w - 1)))
            return torch.lerp(left, right, fx)

        return torch.lerp(rows(y0), rows(torch.minimum(y0 + 1, h - 1)), fy).permute(0, 3, 1, 2).contiguous() / 255

    def _gather(self, place: Tensor) -> Tensor:
        place = (place[..., None] + torch.arange(3)).to(self.device)
        return self.pixels[place].float()


def _mirrored(place: Tensor, side: Tensor) -> Tensor:
    "Places outside of [0, side - 1] mirrored in."
    last = (side - 1).float()
    return (last - (last - place.abs()).abs()).clamp(min=0).minimum(last)


def pack_photos(photos: Iterable[tuple[str, Tensor]], path: Path) -> Pack:
    "Write named photos (H, W, 3), uint8, to `path` (pixels) and `path`.json (index), and open them."
    names, heights, widths = [], [], []
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for name, photo in photos:
            names.append(name)
            heights.append(photo.shape[0])
            widths.append(photo.shape[1])
            file.write(np.ascontiguousarray(photo).tobytes())
    write_atomically(_index_of(path), json.dumps({"names": names, "heights": heights, "widths": widths}))
    return open_pack(path)


def _index_of(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def open_pack(path: Path) -> Pack:
    "The pack that was written to `path`."
    index = json.loads(_index_of(path).read_text())
    size = sum(h * w * 3 for h, w in zip(index["heights"], index["widths"]))
    pixels = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    return Pack(pixels, index["names"], torch.tensor(index["heights"]), torch.tensor(index["widths"]))


def pack(sources: Sequence[Path], size: int, folder: Path, shared: bool = True) -> Pack:
    """All photos of `sources` with a short side of `size`, from the cache in `folder` where it is current.

    Broken photos are left out and counted in the log. In a folder that is not `shared` with trainings on other photos,
    a new pack takes the place of those of its size: photos were added or changed since, and a pack may be a gigabyte.

    Raises:
        NoPhotos: not one photo could be read.
    """
    listing = [(str(s.resolve()), s.stat().st_size, s.stat().st_mtime_ns) for s in sources]
    key = hashlib.blake2b(json.dumps([size, listing]).encode(), digest_size=8).hexdigest()
    path = folder / f"photos-{size}-{key}.bin"
    if path.exists() and _index_of(path).exists():  # that is written last, so the pixels are complete
        return open_pack(path)
    remove_leftovers(folder)  # in a shared one nobody else does
    broken = 0

    def decoded() -> Iterator[tuple[str, np.ndarray]]:
        nonlocal broken
        for name, photo in tqdm(
            _decoded(read_sources(sources), size), desc=f"packing photos at {size} px", unit="photo", disable=None
        ):
            if isinstance(photo, BadPhoto):
                log.warning("%s: left out: %s", name, photo)
                broken += 1
            else:
                yield name, photo

    photos = pack_photos(decoded(), path)
    log.info("packed %d photos at %d px, %d broken ones left out", len(photos), size, broken)
    if not len(photos):
        path.unlink()
        _index_of(path).unlink()
        raise NoPhotos(f"none of the {broken} files could be read as a photo")
    for old in () if shared else folder.glob(f"photos-{size}-*.bin"):
        if old != path:
            with suppress(OSError):  # open elsewhere, on Windows
                _index_of(old).unlink(missing_ok=True)
                old.unlink()
    return photos


def _decoded(files: Iterable[tuple[str, Path | bytes]], size: int) -> Iterator[tuple[str, np.ndarray | BadPhoto]]:
    "Each photo as an array, or what is wrong with it, in order; decoded by a few threads, a few photos ahead."

    def decode(name: str, file: Path | bytes) -> tuple[str, np.ndarray | BadPhoto]:
        try:
            return name, np.asarray(read_rgb(file, size))
        except BadPhoto as error:
            return name, error

    with ThreadPoolExecutor() as pool:
        ahead = deque()
        for name, file in files:
            ahead.append(pool.submit(decode, name, file))
            if len(ahead) > 64:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


@dataclass
class Split:
    "Indices into a pack."

    train: Tensor
    valid: Tensor

    @classmethod
    def of(cls, pack: Pack, fraction: float) -> "Split":
        """By the photos' names.

        Raises:
            NoPhotos: too few photos to have one on either side.
        """
        held = torch.tensor([is_validation(name, fraction) for name in pack.names])
        if held.all() or not held.any():  # a handful of photos may all fall on one side
            if len(pack) < 2:
                raise NoPhotos("one photo is not enough: training needs at least two, one of them for validation")
            held[:] = False
            held[
                min(
                    range(len(pack)),
                    key=lambda i: hashlib.blake2b(pack.names[i].encode(errors="surrogateescape")).digest(),
                )
            ] = True
        return cls((~held).nonzero().flatten(), held.nonzero().flatten())


def step_generator(seed: int, *place: str | int) -> torch.Generator:
    "Random numbers for one place in a run, say a stage and a step: the same whatever ran before it."
    digest = hashlib.blake2b(repr((seed, *place)).encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def source_of(name: str) -> str:
    "What a photo's name says of its source: all before its number, `rooms` of `rooms_00012.jpg`."
    return Path(name).stem.rstrip("0123456789").rstrip("_- ")


class Sampler:
    """Which photos each step is made of: an order for every epoch, which follows from seed, stage and epoch alone.

    With `balance` 1 an epoch has every photo once. Else a source (`source_of`) of n photos has its part of the epoch in
    proportion to n to the power of `balance`, and goes through its own photos in ever new orders.
    """

    def __init__(self, members: Tensor, names: Sequence[str], balance: float, seed: int, stage: str):
        self.place, self.members = (seed, stage, "order"), members
        sources = [source_of(names[i]) for i in members.tolist()] if balance != 1 else [""] * len(members)
        self.sources = {name: [] for name in sorted(set(sources))}
        for member, name in zip(members.tolist(), sources):
            self.sources[name].append(member)
        weights = torch.tensor([float(len(photos)) ** balance for photos in self.sources.values()], dtype=torch.float64)
        ends = (weights.cumsum(0) / weights.sum() * len(members)).round().long()
        self.counts = dict(zip(self.sources, ends.diff(prepend=ends.new_zeros(1)).tolist()))  # of an epoch
        self._epochs: dict[int, Tensor] = {}

    def batch(self, step: int, size: int) -> Tensor:
        "The photos of step number `step` of `size` photos."
        positions = torch.arange(step * size, (step + 1) * size)
        epochs, places = positions // len(self.members), positions % len(self.members)
        return torch.stack([self._epoch(int(epoch))[place] for epoch, place in zip(epochs, places)])

    def _epoch(self, epoch: int) -> Tensor:
        if self._epochs.get(epoch) is None:
            order = torch.cat([self._of_source(name, epoch) for name in self.sources])
            order = order[torch.randperm(len(order), generator=step_generator(*self.place, epoch))]
            self._epochs = {epoch - 1: self._epochs.get(epoch - 1), epoch: order}  # a batch spans two at most
        return self._epochs[epoch]

    def _of_source(self, name: str, epoch: int) -> Tensor:
        "The photos of a source that an epoch has: the next ones of its own sequence of random orders."
        photos, count = torch.tensor(self.sources[name]), self.counts[name]
        first, last = epoch * count, (epoch + 1) * count
        passes = range(first // len(photos), -(-last // len(photos)))
        orders = [
            photos[torch.randperm(len(photos), generator=step_generator(*self.place, name, "pass", i))] for i in passes
        ]
        return torch.cat([photos[:0], *orders])[first % len(photos) :][:count]


def jitter(rgb: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    "Brightness, contrast and saturation changed a little, one draw a photo; (N, 3, H, W) in [0, 1], clamped."
    draw = (torch.rand(3, len(rgb), 1, 1, 1, generator=generator) * 2 - 1).to(rgb.device)
    y = color.luma(rgb)
    colours = (rgb - y) * (1 + augment.saturation * draw[2])
    y = (y - 0.5) * (1 + augment.contrast * draw[1]) + 0.5 + augment.brightness * draw[0]
    return (y + colours).clamp(0, 1)
