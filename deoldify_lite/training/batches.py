"""The batches of the stages, as fastai wants them.

Every batch of training follows from its number alone, so a killed run goes on with the very batch that it was at. They
show themselves where fastai's do: `learn.dls.show_batch()`, `learn.show_results()`.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from .. import color
from ..errors import UsageError
from ..schedule import CriticStage, EncoderStage, Gan, GeneratorStage, HintStage, Schedule
from . import distributed
from .damage import restoration_pair
from .data import Pack, jitter
from .degradation import degrade
from .run import Run
from .show import show_rows
from .stage import Stage
from .turns import Turns

Spec = EncoderStage | GeneratorStage | CriticStage | HintStage | Gan


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def as_batch(gray: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    "A batch of inputs and targets, these in [0, 1] and (N, 3, S, S), or with a mask (N, 4, S, S)."
    normalized = torch.cat([color.normalize(target[:, :3]), target[:, 3:]], 1)
    return channels_last(gray), color.luma(target[:, :3]), channels_last(normalized)


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
    """The batches of a stage, `steps` of them, from number `first_step` on; `spec` has their size.

    Of several processes each gets an equal part of a batch that is as many times larger.
    """

    def __init__(self, stage: Stage, spec: Spec, samples: float):
        "`samples` is how many the stage should see."
        self.stage, self.spec, self.first_step = stage, spec, 0
        self.batch_size = spec.batch * distributed.world_size()
        self.steps = max(1, round(samples / self.batch_size))

    @property
    def samples(self) -> int:
        "How many samples the stage sees in all."
        return self.steps * self.batch_size

    @property
    def summary(self) -> dict[str, int]:
        return {"steps": self.steps, "batch": self.batch_size}

    def __len__(self) -> int:
        return self.steps - self.first_step

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return (distributed.own_part(self.batch(step)) for step in range(self.first_step, self.steps))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        "Batch number `step`."
        raise NotImplementedError

    def progress(self, step: int) -> float:
        "How much of the stage is done before step number `step`, from 0 to 1."
        return step / self.steps


class GeneratorBatches(TrainingBatches):
    "Of a generator stage: (grayscale input, luma of the target) and the normalised target, with a restorer's mask."

    n_inp = 2

    def __init__(self, stage: Stage, spec: EncoderStage | GeneratorStage | HintStage, schedule: Schedule):
        self.photos, self.schedule = stage.run.pack(spec.size), schedule
        members = stage.run.split(self.photos).train
        order = torch.randperm(len(members), generator=stage.seed("fraction"))
        members = members[order[: max(1, round(len(members) * spec.fraction))]]
        self.sampler = stage.sampler(self.photos, members, balance=schedule.balance)
        super().__init__(stage, spec, spec.epochs * len(members))

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        index, draw = self.sampler.batch(step, self.batch_size), self.stage.seed("batch", step)
        augment = self.schedule.augment
        if self.schedule.restores:
            augment = replace(augment, zoom=augment.zoom * self.schedule.damage.magnify)
        target = self.photos.crops(index, self.spec.size, augment, draw).to(self.stage.run.device)
        target = jitter(target, augment, draw)
        if self.schedule.restores:
            return as_batch(*restoration_pair(target, self.schedule, draw))
        return as_batch(degrade(target, self.schedule.degradation, draw), target)

    def show_batch(self, b: tuple[Tensor, ...] | None = None, max_n: int = 8, **_) -> None:
        gray, _luma, target = (x[:max_n] for x in b or self.one_batch())
        show_rows({"input": color.denormalize(gray), "target": color.denormalize(target[:, :3])})

    def show_results(self, b: tuple[Tensor, ...], out: Tensor, max_n: int = 8, **_) -> None:
        gray, _luma, target = (x[:max_n] for x in b)
        rows = {"input": gray, "prediction": out[:max_n, :3], "target": target[:, :3]}
        show_rows({name: color.denormalize(x) for name, x in rows.items()})


class ValidationBatches(Batches):
    "Clean inputs and targets of the validation photos, the same each time."

    n_inp = 2
    show_batch, show_results = GeneratorBatches.show_batch, GeneratorBatches.show_results

    def __init__(self, run: Run, size: int, batch: int, limit: int = 128):
        self.run, self.size, self.batch = run, size, batch
        self.members = run.split(run.pack(size)).valid[:limit]

    def __len__(self) -> int:
        return -(-len(self.members) // self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for index in self.members.split(self.batch):
            yield as_batch(*self.run.clean_pairs(index, self.size))


class CriticBatches(TrainingBatches):
    """Of a critic stage: pictures, first the real ones, then as many generated ones, and labels 1 and 0.

    The real ones are the training photos; of a restorer, whose results are as grey and grainy as its input, the
    `targets` of the generated ones.
    """

    def __init__(
        self, stage: Stage, spec: CriticStage, schedule: Schedule, generated: Pack, targets: Pack | None = None
    ):
        self.generated, self.augment = generated, schedule.augment
        if targets is None:
            # Of the size of the generated ones, so that both are scaled alike.
            self.photos = stage.run.pack(schedule.generated_size)
            members = stage.run.split(self.photos).train
            self.real = stage.sampler(self.photos, members, "real", balance=schedule.balance)
        else:
            self.photos = targets
            self.real = stage.sampler(targets, torch.arange(len(targets)), "real")
        # These were sampled in balance when they were generated.
        self.fake = stage.sampler(generated, torch.arange(len(generated)), "fake")
        super().__init__(stage, spec, spec.epochs * len(generated))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        size, device, parts = self.spec.size, self.stage.run.device, []
        for kind, pack, sampler in (("real", self.photos, self.real), ("fake", self.generated, self.fake)):
            index = sampler.batch(step, self.batch_size)
            parts.append(pack.crops(index, size, self.augment, self.stage.seed(kind, step)).to(device))
        labels = torch.tensor([1.0, 0.0], device=device).repeat_interleave(self.batch_size)
        return channels_last(color.normalize(torch.cat(parts))), labels[:, None]

    def fixed(self, count: int) -> tuple[Tensor, Tensor]:
        "The first generated pictures and the photos that they were made of, in [0, 1], both (N, 3, S, S)."
        places = {name: i for i, name in enumerate(self.photos.names)}
        there = [i for i, name in enumerate(self.generated.names) if name in places][:count]
        index, originals = torch.tensor(there), torch.tensor([places[self.generated.names[i]] for i in there])
        pictures = ((self.generated, index), (self.photos, originals))
        return tuple(
            pack.crops(i, self.spec.size, None, torch.Generator()).to(self.stage.run.device) for pack, i in pictures
        )

    def show_batch(self, b: tuple[Tensor, ...] | None = None, max_n: int = 8, **_) -> None:
        real, fake = (color.denormalize(x)[:max_n] for x in (b or self.one_batch())[0].chunk(2))
        show_rows({"real": real, "generated": fake})

    def show_results(self, b: tuple[Tensor, ...], out: Tensor, max_n: int = 8, **_) -> None:
        "With the fraction of each picture's patches that the critic takes for real."
        real, fake = (color.denormalize(x)[:max_n] for x in b[0].chunk(2))
        captions = ([f"{part:.0%} real" for part in (x > 0).float().mean(1)[:max_n].tolist()] for x in out.chunk(2))
        show_rows({"real": real, "generated": fake}, dict(zip(("real", "generated"), captions)))


class GanBatches(GeneratorBatches):
    """Of the GAN phase, whoever's turn it is, until the generator has had its steps.

    How many steps the critic takes is not known before, so `steps` counts those of the generator alone.
    """

    def __init__(self, stage: Stage, spec: Gan, schedule: Schedule, turns: Turns):
        as_stage = GeneratorStage("gan", spec.size, spec.batch, spec.lr, spec.lr, epochs=spec.fraction)
        super().__init__(stage, as_stage, schedule)
        self.turns = turns

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        while self.turns.generator_steps < self.steps:
            yield distributed.own_part(self.batch(self.turns.all_steps))

    def progress(self, step: int) -> float:
        return self.turns.generator_steps / self.steps


class NoValidation(Batches):
    "Of a critic: what counts is how it does against a generator that moves."

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return iter(())

    def one_batch(self) -> tuple[Tensor, ...]:
        raise UsageError("this stage has no validation; to see batches of training give ds_idx=0")
