"""One stage of a run: its folder, checkpoint and result, and how long it took."""

import json
import logging
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..files import write_atomically
from . import distributed
from .checkpoint import load_checkpoint, save_checkpoint
from .data import Pack, Sampler, step_generator
from .errors import WrongCheckpoint
from .fingerprints import first_difference
from .tracker import Tracker

if TYPE_CHECKING:
    from .run import RunFolder

MOST_SOURCES = 40  # that the log names
log = logging.getLogger(__name__)


@dataclass
class Stage:
    """A stage's folder in a run. The stage is done when `done.json` is there.

    `depends_on` is all that decides what the stage gives (see `fingerprints`); the checkpoint and `done.json` keep it.
    """

    run: "RunFolder"
    name: str
    depends_on: dict[str, Any]
    first_step: int | None = None  # that is still to do, where it is known
    earlier_seconds: float = 0.0  # spent by processes that were killed
    began: float = field(default_factory=time.monotonic)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        "`depends_on` in plain types, as it is stored."
        return json.loads(json.dumps(self.depends_on, default=asdict))

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
        """Whether the stage was finished by this very schedule.

        Raises:
            WrongCheckpoint: it was finished, but by another one.
        """
        path = self.folder / "done.json"
        done = json.loads(path.read_text()) if path.exists() else None
        distributed.barrier()  # all processes see the same, whichever finishes the stage first
        if done is None:
            return False
        self._check(done["fingerprint"])
        return True

    def _check(self, fingerprint: dict[str, Any]) -> None:
        if difference := first_difference(fingerprint, self.depends_on):
            raise WrongCheckpoint(
                f"{self.folder} was made with other settings: {difference}. Go on with the settings in "
                f"{self.run.folder / self.run.settings_file}, give another --run, or delete that folder"
            )

    def save(self, **state: Any) -> None:
        "Write the checkpoint: what the stage needs to go on, its fingerprint, and the seconds that it took until now."
        if distributed.is_main():
            content = {"fingerprint": self.fingerprint, "seconds": self.seconds} | state
            save_checkpoint(self.checkpoint, content)

    def resume(self) -> dict[str, Any]:
        """What `save` was given; nothing where the stage begins.

        Raises:
            WrongCheckpoint: damaged, or made by another schedule.
        """
        saved = load_checkpoint(self.checkpoint) or {}
        if saved:
            self._check(saved["fingerprint"])
            self.earlier_seconds = saved["seconds"]
        distributed.barrier()  # nobody writes the next one while another process reads
        return saved

    def begin(self) -> None:
        "The preparations are over: the clock starts."
        self.began = time.monotonic()
        if not self.first_step:
            self.tracker.begin()

    @property
    def seconds(self) -> float:
        "What the work took over all processes that did it one after the other, less what was lost in kills."
        return self.earlier_seconds + time.monotonic() - self.began

    def throughput(self, samples: int) -> dict[str, float]:
        "Samples seen, seconds and their ratio, with which a stage is finished."
        speed = {"seconds": round(self.seconds, 1), "samples_per_second": round(samples / self.seconds, 2)}
        return {"samples_seen": samples} | speed

    def finish(self, **metrics: Any) -> None:
        "Mark as done; what was only for resuming goes."
        if distributed.is_main():
            content = {"fingerprint": self.fingerprint, **metrics}
            write_atomically(self.folder / "done.json", json.dumps(content, indent=1))
            self.checkpoint.unlink(missing_ok=True)
            log.info("%s: done %s", self.name, metrics)
        self.tracker.close()
        distributed.barrier()

    @cached_property
    def tracker(self) -> Tracker:
        return Tracker(self.run.folder, self.name, self.run.description, self.first_step)

    def seed(self, *place: str | int) -> torch.Generator:
        return step_generator(self.run.seed, self.name, *place)

    def seed_globally(self, step: int) -> None:
        "For what draws from torch's own generator: dropout, initial weights."
        torch.manual_seed(int(torch.randint(2**31, (), generator=self.seed("global", step))))

    def sampler(self, photos: Pack, members: torch.Tensor, *place: str, balance: float = 1.0) -> Sampler:
        "What chooses this stage's photos out of `members`; the log tells how many an epoch has of each source."
        sampler = Sampler(members, photos.names, balance, self.run.seed, " ".join((self.name, *place)))
        if balance != 1:
            shown = [f"{name or 'others'} {count}" for name, count in islice(sampler.counts.items(), MOST_SOURCES)]
            more = [f"and {further} more"] if (further := len(sampler.counts) - len(shown)) else []
            log.info("%s: photos of an epoch by source: %s", self.name, ", ".join(shown + more))
        return sampler
