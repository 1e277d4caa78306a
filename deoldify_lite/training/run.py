"""A run folder: which photos, which schedule, what is done, what the figures were."""

import json
import logging
import math
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from tensorboardX import SummaryWriter

from .. import color
from ..device import pick_device, pick_precision, tune_allocator
from ..errors import UsageError
from ..files import write_atomically
from ..schedule import Networks, Schedule, preset
from ..sources import NoPhotos, list_sources, spread
from .checkpoint import first_difference, load_checkpoint, save_checkpoint
from .data import Pack, Sampler, Split, pack, step_generator
from .errors import WrongCheckpoint
from .grey import clean_grey
from .start import content_hash, start_from, start_weights

log = logging.getLogger(__name__)
SCHEDULE, PHOTOS = "schedule.yaml", "photos.json"


@dataclass
class Run:
    "Where a NoGAN run lives, with what, and on which device."

    folder: Path
    schedule: Schedule
    photos: tuple[Path, ...] = ()
    device: torch.device | str = "auto"
    precision: torch.dtype | str = "auto"
    encoder_weights: Path | None = None
    checkpoint_seconds: float = 120.0
    cache: Path | None = None  # for packed photos; by default inside the run folder
    packs: dict[int, Pack] = field(default_factory=dict, repr=False)

    def __post_init__(self):
        self.folder = Path(self.folder)
        self.device = pick_device(self.device)
        if self.device.type == "cpu":
            tune_allocator()
        if isinstance(self.precision, str):
            self.precision = pick_precision(self.device, self.precision)

    @cached_property
    def sources(self) -> list[Path]:
        if not self.photos:
            raise NoPhotos(f"no photos to train on: give --photos PATH once, {self.folder} will remember it")
        return list_sources(self.photos)

    def keep(self) -> None:
        "Write the schedule and the photos' place into the run folder."
        write_atomically(self.folder / SCHEDULE, self.schedule.to_yaml())
        if self.photos:
            write_atomically(self.folder / PHOTOS, json.dumps([str(p.resolve()) for p in self.photos]))

    def pack(self, size: int) -> Pack:
        "The photos, a little larger than crops of `size` need."
        side = round(size * self.schedule.augment.zoom)
        if side not in self.packs:
            place = self.cache or self.folder / "photos"
            self.packs[side] = pack(self.sources, side, place, shared=self.cache is not None).to(self.device)
        return self.packs[side]

    def split(self, photos: Pack) -> Split:
        return Split.of(photos, self.schedule.validation)

    def stage(self, name: str, recipe: dict[str, Any]) -> "Stage":
        return Stage(self, name, recipe)

    def fixed_batch(self, size: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        "A few validation photos, always the same, as `clean_pairs` gives them."
        members = self.split(self.pack(size)).valid
        return self.clean_pairs(members[spread(count, len(members))], size)

    def clean_pairs(self, index: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        "The middles of some photos of a pack: normalised clean grey, truth in [0, 1], both (N, 3, size, size)."
        truth = self.pack(size).crops(index, size, None, torch.Generator()).to(self.device)
        return clean_grey(truth), truth


def read_logs(run_folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What each stage recorded, a row for each step, in their order.

    Where a stage went back, to a checkpoint or to its beginning, what it did from there counts.
    """
    path, stages = run_folder / "log.jsonl", {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:  # a kill cut it off
            continue
        rows = stages.setdefault(row["stage"], [])
        if rows and rows[-1]["step"] == row["step"]:  # recorded in parts
            rows[-1] |= row
        else:
            del rows[bisect_left(rows, row["step"], key=itemgetter("step")) :]
            if row["step"]:  # 0 is but its beginning
                rows.append(row)
    return stages


def read_log(run_folder: Path, stage: str) -> list[dict[str, Any]]:
    "What one stage recorded, as `read_logs` has it."
    return read_logs(run_folder).get(stage, [])


def open_run(
    folder: Path,
    photos: Sequence[Path] = (),
    preset_name: str | None = None,
    changes: Sequence[str] = (),
    repeats: int | None = None,
    start: str = "",
    **settings: Any,
) -> Run:
    """A run in `folder`: the schedule and photos that it remembers, or new ones.

    `changes` are texts `field=value` for `Schedule.override`; `start` is a name or a file of weights to start from
    instead of ImageNet's, whose network it then is; `settings` go to `Run`.

    Raises:
        ValueError: unknown preset or field, or a preset or start other than the one that the run was begun with.
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
    if wrong := [change for change in changes if "=" not in change]:
        raise UsageError(f"--set {wrong[0]!r}: write FIELD=VALUE, for instance gan.lr=2e-5")
    fields = dict(change.split("=", 1) for change in changes)
    start = fields.pop("networks.start", start)
    schedule = schedule.override(fields)
    if start:
        schedule = replace(schedule, networks=start_from(start, schedule.networks, folder))
    if repeats is not None:
        schedule = replace(schedule, repeats=repeats)
    return Run(folder, schedule, remembered_photos(folder, photos), **settings)


def remembered_photos(folder: Path, photos: Sequence[Path]) -> tuple[Path, ...]:
    "Where the photos are: `photos`, or, without any, where the run in `folder` had them."
    if not photos and (folder / PHOTOS).exists():
        photos = [Path(p) for p in json.loads((folder / PHOTOS).read_text())]
    return tuple(photos)


@dataclass
class Stage:
    """One stage's folder: checkpoint, result, log, TensorBoard events.

    A stage is done when `done.json` is there; that and its checkpoint say by which recipe it was made.
    """

    run: Run
    name: str
    made_of: dict[str, Any]  # all that decides what the stage gives: parts of the schedule, numbers, texts
    first_step: int | None = None  # that is still to do, where it is known
    spent: float = 0.0  # seconds in earlier sittings
    began: float = field(default_factory=time.monotonic)  # this sitting's work

    @cached_property
    def recipe(self) -> dict[str, Any]:
        "`made_of` in plain types, as it is stored."
        return json.loads(json.dumps(self.made_of, default=asdict))

    @property
    def folder(self) -> Path:
        return self.run.folder / self.name

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def is_done(self) -> bool:
        """Whether the stage was finished by this very recipe.

        Raises:
            WrongCheckpoint: it was finished, but by another recipe.
        """
        path = self.folder / "done.json"
        if not path.exists():
            return False
        self.check(json.loads(path.read_text())["recipe"])
        return True

    def check(self, recipe: dict[str, Any]) -> None:
        if difference := first_difference(recipe, self.made_of):
            raise WrongCheckpoint(
                f"{self.folder} was made by another schedule: {difference}. Go on with the schedule in "
                f"{self.run.folder / 'schedule.yaml'}, give another --run, or delete that folder"
            )

    def save(self, **state: Any) -> None:
        "Write the checkpoint: what the stage needs to go on, its recipe, and the seconds that it took until now."
        save_checkpoint(self.checkpoint, {"recipe": self.recipe, "seconds": self.seconds} | state)

    def resume(self) -> dict[str, Any]:
        """What `save` was given; nothing where the stage begins.

        Raises:
            WrongCheckpoint: damaged, or made by another recipe.
        """
        saved = load_checkpoint(self.checkpoint) or {}
        if saved:
            self.check(saved["recipe"])
            self.spent = saved.get("seconds", math.nan)  # checkpoints once had none
        return saved

    def begin(self) -> None:
        "The preparations are over: the clock starts, and the log hears of it where there was no step before."
        self.began = time.monotonic()
        if not self.first_step:
            self._log(0, {})

    @property
    def seconds(self) -> float:
        "What the work on the stage took, over all its sittings, less what was done in vain before a kill."
        return self.spent + time.monotonic() - self.began

    def pace(self, presentations: int) -> dict[str, float]:
        "The figures of work and speed that a stage is finished with."
        speed = {"seconds": round(self.seconds, 1), "samples_per_second": round(presentations / self.seconds, 2)}
        return {"presentations": presentations} | speed

    def finish(self, **figures: Any) -> None:
        "Mark as done; what was only for resuming goes."
        write_atomically(self.folder / "done.json", json.dumps({"recipe": self.recipe, **figures}, indent=1))
        self.checkpoint.unlink(missing_ok=True)
        self.board.close()
        log.info("%s: done %s", self.name, figures)

    @cached_property
    def board(self) -> SummaryWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard forgets what a killed run recorded of steps that are done again now.
        again = None if self.first_step is None else self.first_step + 1
        writer = SummaryWriter(str(self.folder), purge_step=again)
        writer.add_text("schedule", "```yaml\n" + self.run.schedule.to_yaml() + "```")
        return writer

    def record(self, step: int, figures: dict[str, float]) -> None:
        "To TensorBoard and to `log.jsonl` of the run."
        figures = {k: float(v) for k, v in figures.items()}
        for name, value in figures.items():
            self.board.add_scalar(name, value, step)
        self._log(step, figures)

    def _log(self, step: int, figures: dict[str, float]) -> None:
        row = {"stage": self.name, "step": step, "time": round(time.time(), 1)} | figures
        self.run.folder.mkdir(parents=True, exist_ok=True)
        with (self.run.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def seed(self, *place: str | int) -> torch.Generator:
        return step_generator(self.run.schedule.seed, self.name, *place)

    def sampler(self, photos: Pack, members: torch.Tensor, *place: str) -> Sampler:
        "What chooses this stage's photos out of `members`; the log tells how many an epoch has of each source."
        schedule = self.run.schedule
        sampler = Sampler(members, photos.names, schedule.balance, schedule.seed, " ".join((self.name, *place)))
        if schedule.balance != 1:
            counts = ", ".join(f"{name or 'others'} {count}" for name, count in sampler.counts.items())
            log.info("%s: photos of an epoch by source: %s", self.name, counts)
        return sampler

    def seed_globally(self, step: int) -> None:
        "For what draws from torch's own generator: dropout, initial weights."
        torch.manual_seed(int(torch.randint(2**31, (), generator=self.seed("global", step))))


def picture_grid(grey: torch.Tensor, painted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    "Rows of grey, ours, truth: all (N, 3, S, S), the first two of ImageNet statistics -> (3, H, W) in [0, 1]."
    from torchvision.utils import make_grid

    rows = torch.cat([color.denormalize(grey), color.denormalize(painted), truth]).clamp(0, 1)
    return make_grid(rows.cpu(), nrow=len(grey))


def encoder_recipe(run: Run, upto: int) -> dict[str, Any]:
    "All that decides what the encoder stages up to number `upto` give."
    schedule = run.schedule
    parts = {
        k: getattr(schedule, k) for k in ("augment", "grey", "weight_decay", "clip", "validation", "balance", "seed")
    }
    return parts | {"encoder": schedule.networks.encoder, "stages": schedule.encoder_stages[: upto + 1]}


def generator_recipe(run: Run, upto: int) -> dict[str, Any]:
    "All that decides what the generator stages up to number `upto` give."
    schedule = run.schedule
    start = start_weights(run.folder, schedule.networks)
    networks = replace(
        schedule.networks,
        start=content_hash(start) if start else "",
        critic=Networks.critic,  # not theirs, nor are the next two
        critic_backbone=Networks.critic_backbone,
        critic_width=Networks.critic_width,
    )
    keys = ("loss", "augment", "grey", "weight_decay", "clip", "validation", "balance", "seed")
    parts = {k: getattr(schedule, k) for k in keys}
    if schedule.encoder_stages:  # runs without any were there before there were such stages
        parts["encoder_stages"] = schedule.encoder_stages
    return parts | {"networks": networks, "stages": schedule.generator_stages[: upto + 1]}
