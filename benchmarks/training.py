"How fast a generator stage trains, with real photos and with one batch made beforehand: what loading costs."

from collections.abc import Sequence
from pathlib import Path

from deoldify_lite import preset as schedule_of
from deoldify_lite.errors import UsageError
from deoldify_lite.training.run import Run
from deoldify_lite.training.stages import generator_learner

from .results import Result, ratio, timed

WARM_UP = 2  # steps


def measure_training(
    scratch: Path, photos: Sequence[Path], preset: str, stage: str, changes: dict[str, str], device: str, steps: int
) -> list[Result]:
    """Photos a second over `steps` steps of each kind, measured alternately, and the ratio of the two.

    Raises:
        UsageError: no such preset, field or stage.
    """
    schedule = schedule_of(preset).override(changes)
    names = [spec.name for spec in schedule.generator_stages]
    if stage not in names:
        raise UsageError(f"preset {preset} has no generator stage {stage!r}; choose {', '.join(names)}")
    spec = schedule.generator_stages[names.index(stage)]
    run = Run(scratch / "training", schedule, tuple(photos), device=device)
    learn = generator_learner(run, names.index(stage))
    batches = learn.dls.train
    prepared = batches.batch(0)
    kinds = {"real photos": lambda step: batches.batch(step + 1), "one batch made beforehand": lambda _: prepared}

    def train_step(kind: str, step: int) -> None:
        *inputs, target = kinds[kind](step)
        loss = learn.loss_func(learn.model(*inputs), target)
        loss.backward()
        learn.opt.step()
        learn.opt.zero_grad()
        float(loss.detach())  # waits for a GPU

    learn.model.train()
    rates = {kind: [] for kind in kinds}
    for step in range(WARM_UP + steps):
        for kind, values in rates.items():
            values.append(spec.batch / timed(lambda kind=kind, step=step: train_step(kind, step))[0])
    rates = {kind: values[WARM_UP:] for kind, values in rates.items()}
    precision = str(run.precision).removeprefix("torch.")
    title = f"training: {preset}, stage {stage}, {spec.size} px, batch {spec.batch}, {precision} on {run.device}"
    about = {"preset": preset, "stage": stage, "size": spec.size, "batch": spec.batch}
    about |= {"precision": precision, "device": str(run.device)}
    results = [Result(title, kind, "photos/s", values, about=about) for kind, values in rates.items()]
    return [*results, ratio(title, " / ".join(kinds), *rates.values(), about=about)]
