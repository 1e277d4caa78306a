"""A run folder: which photos, which settings, on which device. Its stages are in `stage`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..device import pick_device, pick_precision, tune_allocator
from ..errors import UsageError
from ..files import lock_folder, remove_leftovers, write_atomically
from ..presets import preset
from ..schedule import Augment, Schedule, parse_changes
from ..sources import NoPhotos, list_sources, spread
from . import distributed
from .damage import restoration_pair
from .data import Pack, Split, pack, step_generator
from .degradation import grayscale_input
from .fingerprints import cycle_fingerprint, encoder_fingerprint, generator_fingerprint, hints_fingerprint
from .init_from import init_networks, init_weights
from .stage import Stage

SCHEDULE, PHOTOS = "schedule.yaml", "photos.json"


class Settings(Protocol):
    "What every training here has in its settings, NoGAN's schedule or a baseline's config."

    seed: int
    augment: Augment
    validation: float

    def to_yaml(self) -> str: ...


class RunFolder:
    """A folder for the checkpoints, logs and result of one training, its photos, and the device.

    Args:
        folder: made when something is written.
        settings: what is trained and how.
        photos: folders of photos or tar archives.
        device: auto, cpu, cuda, ...; with several processes `auto` is the GPU of this one.
        precision: auto, float32 or bfloat16.
        checkpoint_seconds: how often to save what a killed run goes on from.
        cache: folder for packed photos that several runs share; by default it is inside the run folder.
    """

    settings_file = SCHEDULE  # that the settings are kept in

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        photos: Sequence[Path] = (),
        device: torch.device | str = "auto",
        precision: torch.dtype | str = "auto",
        checkpoint_seconds: float = 120.0,
        cache: Path | None = None,
    ):
        self.folder, self.settings, self.photos = Path(folder), settings, tuple(photos)
        self.device = pick_device(distributed.local_device(str(device)))
        distributed.start(self.device)
        if self.device.type == "cpu":
            tune_allocator()
        if precision in ("float16", torch.float16):
            raise UsageError("training has no loss scaling, without which float16 loses gradients: bfloat16 or float32")
        self.precision = pick_precision(self.device, precision) if isinstance(precision, str) else precision
        self.checkpoint_seconds, self.cache = checkpoint_seconds, cache
        self.packs: dict[int, Pack] = {}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Have the folder for this training alone while the context lasts. What killed ones left half written goes.

        Raises:
            FolderInUse: another process trains in it.
        """
        if not distributed.is_main():
            yield
            return
        with lock_folder(self.folder):
            remove_leftovers(self.folder, recursive=True)  # checkpoints and packs may be large
            yield

    @property
    def seed(self) -> int:
        return self.settings.seed

    @property
    def description(self) -> str:
        "The settings in Markdown."
        return "```yaml\n" + self.settings.to_yaml() + "```"

    @cached_property
    def sources(self) -> list[Path]:
        if not self.photos:
            raise NoPhotos(f"no photos to train on: give --photos PATH once, {self.folder} will remember it")
        return list_sources(self.photos)

    def keep(self) -> None:
        "Write the settings and the photos' place into the run folder."
        write_atomically(self.folder / self.settings_file, self.settings.to_yaml())
        if self.photos:
            write_atomically(self.folder / PHOTOS, json.dumps([str(p.resolve()) for p in self.photos]))

    def pack(self, size: int) -> Pack:
        "The photos, a little larger than crops of `size` need."
        side = round(size * self.settings.augment.zoom)
        if side not in self.packs:
            place = self.cache or self.folder / "photos"
            with distributed.main_first():
                photos = pack(self.sources, side, place, shared=self.cache is not None)
            self.packs[side] = photos.to(self.device)
        return self.packs[side]

    def split(self, photos: Pack) -> Split:
        return Split.of(photos, self.settings.validation)

    def stage(self, name: str, depends_on: dict[str, Any]) -> Stage:
        return Stage(self, name, depends_on)

    def fixed_batch(self, size: int, count: int) -> tuple[Tensor, Tensor]:
        "A few validation photos, always the same, as `clean_pairs` gives them."
        members = self.split(self.pack(size)).valid
        return self.clean_pairs(members[spread(count, len(members))], size)

    def clean_pairs(self, index: Tensor, size: int) -> tuple[Tensor, Tensor]:
        "The middles of some photos of a pack: normalised grayscale input, target in [0, 1], both (N, 3, size, size)."
        target = self.pack(size).crops(index, size, None, torch.Generator()).to(self.device)
        return grayscale_input(target), target


class Run(RunFolder):
    "The run folder of a NoGAN training. `encoder_weights` is a file of ImageNet weights, for use offline."

    def __init__(
        self, folder: Path, schedule: Schedule, *args: Any, encoder_weights: Path | None = None, **kwargs: Any
    ):
        super().__init__(folder, schedule, *args, **kwargs)
        self.schedule, self.encoder_weights = schedule, encoder_weights

    @property
    def init_from(self) -> Path | None:
        "The weights that training starts from instead of ImageNet's."
        return init_weights(self.folder, self.schedule.networks)

    def clean_pairs(self, index: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """As `RunFolder.clean_pairs`. For a restorer, damaged input and target as in `restoration_pair`; the damage is
        always the same."""
        gray, target = super().clean_pairs(index, size)
        if not self.schedule.restores:
            return gray, target
        return restoration_pair(target, self.schedule, step_generator(self.seed, "damage", *index.tolist()))

    def encoder_stage(self, i: int) -> Stage:
        name = self.schedule.encoder_stages[i].name
        return self.stage(f"encoder/{i + 1}-{name}", encoder_fingerprint(self.schedule, i))

    def generator_stage(self, i: int) -> Stage:
        name = self.schedule.generator_stages[i].name
        return self.stage(f"generator/{i + 1}-{name}", generator_fingerprint(self.schedule, i, self.init_from))

    def generate_stage(self, cycle: int) -> Stage:
        return self._cycle_stage(cycle, "generate", "generate")

    def critic_stage(self, cycle: int, name: str) -> Stage:
        return self._cycle_stage(cycle, "critic", f"critic-{name}")

    def gan_stage(self, cycle: int) -> Stage:
        return self._cycle_stage(cycle, "gan", "gan")

    def hint_stage(self, i: int, generator: Path) -> Stage:
        "`generator` are the weights that it is for."
        name = self.schedule.hint_stages[i].name
        return self.stage(f"hints/{i + 1}-{name}", hints_fingerprint(self.schedule, i, generator))

    def _cycle_stage(self, cycle: int, part: str, folder: str) -> Stage:
        return self.stage(f"cycle-{cycle}/{folder}", cycle_fingerprint(self.schedule, cycle, part, self.init_from))


def open_run(
    folder: Path,
    photos: Sequence[Path] = (),
    preset_name: str | None = None,
    changes: Sequence[str] = (),
    cycles: int | None = None,
    init_from: str = "",
    **kwargs: Any,
) -> Run:
    """A run in `folder`: the schedule and photos that it remembers, or new ones.

    Args:
        changes: texts `field=value` for `Schedule.override`.
        cycles: of critic and GAN phase, instead of the schedule's.
        init_from: a name or file of weights to start from instead of ImageNet's; the run trains their network.
        kwargs: go to `Run`.

    Raises:
        UsageError: unknown preset or field, or a preset or weights other than those that the run was begun with.
        BadWeights: there are no such weights to start from.
    """
    stored = folder / SCHEDULE
    if stored.exists():
        schedule = Schedule.from_yaml(stored.read_text())
        if preset_name not in (None, schedule.preset):
            raise UsageError(
                f"{folder} was begun with preset {schedule.preset!r}; give another --run for {preset_name!r}"
            )
    else:
        schedule = preset(preset_name or "lite")
    fields = parse_changes(changes, "gan.lr=2e-5")
    init_from = fields.get("networks.init_from", init_from)
    schedule = schedule.override(fields)
    if init_from:
        schedule = replace(schedule, networks=init_networks(init_from, schedule, folder))
        # What is asked for outright goes before what the file says.
        schedule = schedule.override({k: v for k, v in fields.items() if k.startswith("networks.")})
    if cycles is not None:
        schedule = replace(schedule, cycles=cycles)
    return Run(folder, schedule, remembered_photos(folder, photos), **kwargs)


def remembered_photos(folder: Path, photos: Sequence[Path]) -> tuple[Path, ...]:
    """Where the photos are: `photos`, or, without any, where the run in `folder` had them.

    Raises:
        UsageError: stages of the run are done, and were trained on photos in other places, which are still there.
    """
    if not (folder / PHOTOS).exists():
        return tuple(photos)
    before = [Path(p) for p in json.loads((folder / PHOTOS).read_text())]
    others = set(map(Path.resolve, photos)) ^ set(before)
    if photos and others and all(p.exists() for p in before) and any(folder.glob("**/done.json")):
        trained_on = ", ".join(map(str, before))
        raise UsageError(f"{folder} was trained on {trained_on}: leave --photos out to go on, or give another --run")
    return tuple(photos or before)
