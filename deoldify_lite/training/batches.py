"""The batches of the stages, as fastai wants them: `Pairs` for the generator, `RealAndFake` for the critic.

Every batch of training follows from its number alone, so a killed run goes on with the very batch that it was at. They
show themselves where fastai's do: `learn.dls.show_batch()`, `learn.show_results()`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from .. import color
from ..schedule import CriticStage, GeneratorStage
from .data import Pack, Sampler, jitter
from .grey import clean_grey, make_grey
from .run import Run, Stage
from .show import show_rows


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


class Batches:
    "What fastai asks of a DataLoader besides its batches. They are made on the right device and in a fixed order."

    n_inp = 1  # how many of a batch's tensors the model gets; the rest is for the loss

    def to(self, device: torch.device) -> "Batches":
        return self

    def new(self, **_) -> "Batches":
        return self

    def one_batch(self) -> tuple[Tensor, ...]:
        return next(iter(self))


class TrainingBatches(Batches):
    "`steps` batches of a stage, from number `first_step` on."

    def __init__(self, stage: Stage, spec: GeneratorStage | CriticStage, epoch: int):
        "`epoch` is how many photos make one."
        self.stage, self.spec, self.first_step = stage, spec, 0
        self.steps = max(1, round(spec.epochs * epoch / spec.batch))

    def __len__(self) -> int:
        return self.steps - self.first_step

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return (self.batch(step) for step in range(self.first_step, self.steps))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        "Batch number `step`."
        raise NotImplementedError


class Pairs(TrainingBatches):
    "The batches of a generator stage: (grey, luma) and the normalised truth."

    n_inp = 2

    def __init__(self, stage: Stage, spec: GeneratorStage):
        self.photos = stage.run.pack(spec.size)
        members = stage.run.split(self.photos).train
        order = torch.randperm(len(members), generator=stage.seed("share"))
        self.members = members[order[: max(1, round(len(members) * spec.share))]]
        self.sampler = stage.sampler(self.photos, self.members)
        super().__init__(stage, spec, len(self.members))

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        schedule, spec = self.stage.run.schedule, self.spec
        index = self.sampler.batch(step, spec.batch)
        draw = self.stage.seed("batch", step)
        truth = self.photos.crops(index, spec.size, schedule.augment, draw).to(self.stage.run.device)
        truth = jitter(truth, schedule.augment, draw)
        grey = make_grey(truth, schedule.grey, draw)
        return channels_last(grey), color.luma(truth), channels_last(color.normalize(truth))

    def show_batch(self, b: tuple[Tensor, ...] | None = None, max_n: int = 8, **_) -> None:
        grey, _luma, truth = (x[:max_n] for x in b or self.one_batch())
        show_rows({"grey": color.denormalize(grey), "truth": color.denormalize(truth)})

    def show_results(self, b: tuple[Tensor, ...], out: Tensor, max_n: int = 8, **_) -> None:
        grey, _luma, truth = (x[:max_n] for x in b)
        rows = {"grey": grey, "ours": out[:max_n], "truth": truth}
        show_rows({name: color.denormalize(x) for name, x in rows.items()})


class ValidationPairs(Batches):
    "Clean greys and truths of the validation photos, in batches; the same each time."

    n_inp = 2
    show_batch, show_results = Pairs.show_batch, Pairs.show_results

    def __init__(self, run: Run, size: int, batch: int, limit: int = 128):
        self.photos, self.size, self.batch, self.device = run.pack(size), size, batch, run.device
        self.members = run.split(self.photos).valid[:limit]

    def __len__(self) -> int:
        return -(-len(self.members) // self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for index in self.members.split(self.batch):
            truth = self.photos.crops(index, self.size, None, torch.Generator()).to(self.device)
            yield channels_last(clean_grey(truth)), color.luma(truth), channels_last(color.normalize(truth))


class RealAndFake(TrainingBatches):
    "The batches of a critic stage: pictures, first the real ones, then as many generated ones, and labels 1 and 0."

    def __init__(self, stage: Stage, spec: CriticStage, generated: Pack):
        self.photos, self.generated = stage.run.pack(spec.size), generated
        self.sampler = stage.sampler(self.photos, stage.run.split(self.photos).train, "real")
        schedule = stage.run.schedule  # generated of a sample that is balanced already
        self.fakes = Sampler(torch.arange(len(generated)), generated.names, 1.0, schedule.seed, f"{stage.name} fake")
        super().__init__(stage, spec, len(generated))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        run, spec = self.stage.run, self.spec
        augment = run.schedule.augment
        parts = []
        for kind, pack, sampler in (("real", self.photos, self.sampler), ("fake", self.generated, self.fakes)):
            index = sampler.batch(step, spec.batch)
            parts.append(pack.crops(index, spec.size, augment, self.stage.seed(kind, step)).to(run.device))
        labels = torch.tensor([1.0, 0.0], device=run.device).repeat_interleave(spec.batch)
        return channels_last(color.normalize(torch.cat(parts))), labels[:, None]

    def fixed(self, count: int) -> tuple[Tensor, Tensor]:
        "The first generated pictures and the photos that they were made of, in [0, 1], both (N, 3, S, S)."
        index = torch.arange(min(count, len(self.generated)))
        places = {name: i for i, name in enumerate(self.photos.names)}
        originals = torch.tensor([places[self.generated.names[i]] for i in index])
        pictures = ((self.generated, index), (self.photos, originals))
        return tuple(
            pack.crops(i, self.spec.size, None, torch.Generator()).to(self.stage.run.device) for pack, i in pictures
        )

    def show_batch(self, b: tuple[Tensor, ...] | None = None, max_n: int = 8, **_) -> None:
        real, fake = (color.denormalize(x)[:max_n] for x in (b or self.one_batch())[0].chunk(2))
        show_rows({"real": real, "generated": fake})

    def show_results(self, b: tuple[Tensor, ...], out: Tensor, max_n: int = 8, **_) -> None:
        "With the share of each picture's patches that the critic takes for real."
        real, fake = (color.denormalize(x)[:max_n] for x in b[0].chunk(2))
        verdicts = ([f"{share:.0%} real" for share in (x > 0).float().mean(1)[:max_n].tolist()] for x in out.chunk(2))
        show_rows({"real": real, "generated": fake}, dict(zip(("real", "generated"), verdicts)))


class NoValidation(Batches):
    "The critic has none: what counts is how it does against a generator that moves."

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return iter(())

    def one_batch(self) -> tuple[Tensor, ...]:
        raise ValueError("this stage has no validation; to see batches of training give ds_idx=0")
