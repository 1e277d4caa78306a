"""How fast a generator stage trains, with real photos and with one batch made beforehand: what the loader costs.

python scripts/bench_training.py --photos PATH --preset lite --stage 64
"""

import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from deoldify_lite.cli import script


def bench(
    photos: Annotated[list[Path], typer.Option(help="Folder of photos or of tar archives.")],
    preset: Annotated[str, typer.Option(help="Whose stage to measure.")] = "lite",
    stage: Annotated[str, typer.Option(help="Name of a generator stage of that preset.")] = "64",
    steps: Annotated[int, typer.Option(help="Steps of each kind, measured in turns.")] = 10,
    device: Annotated[str, typer.Option(help="As for training.")] = "auto",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="As for training.")] = None,
) -> None:
    """Print samples per second, median and range over the steps, real and synthetic in turns, and their ratio."""
    import torch

    from deoldify_lite import preset as schedule_of
    from deoldify_lite.training.run import Run
    from deoldify_lite.training.stages import generator_learner

    schedule = schedule_of(preset).override(dict(change.split("=", 1) for change in set_ or ()))
    index = [s.name for s in schedule.generator_stages].index(stage)
    spec = schedule.generator_stages[index]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), schedule, tuple(photos), device=device)
        learn = generator_learner(run, index)
        batches = learn.dls.train
        fixed = batches.batch(0)
        times: dict[str, list[float]] = {"real": [], "synthetic": []}
        learn.model.train()
        for step in range(-2, steps):  # two to warm up
            for kind, seconds in times.items():
                began = time.perf_counter()
                *inputs, truth = batches.batch(step + 3) if kind == "real" else fixed
                loss = learn.loss_func(learn.model(*inputs), truth)
                loss.backward()
                learn.opt.step()
                learn.opt.zero_grad()
                float(loss.detach())  # waits for a GPU
                if step >= 0:
                    seconds.append(time.perf_counter() - began)
        for kind, seconds in times.items():
            rates = [spec.batch / s for s in seconds]
            spread = f"of {steps} steps {min(rates):.2f} to {max(rates):.2f}"
            typer.echo(f"{kind}: {statistics.median(rates):.2f} photos/s ({spread})")
        ratio = statistics.median(times["synthetic"]) / statistics.median(times["real"])
        typer.echo(f"with real photos {ratio:.1%} of the speed with a batch made beforehand")
        machine = f"{torch.get_num_threads()} threads, torch {torch.__version__}, {platform.machine()}"
        where = f"{run.device} {run.precision}, {machine}"
        typer.echo(f"{preset}/{stage}: {spec.size} px, batch {spec.batch}, {where}")


if __name__ == "__main__":
    script(bench)
