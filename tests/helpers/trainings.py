"""Trainings in processes of their own that start at once: forks of one that has imported all that they need.

Importing torch and fastai anew would take longer than these trainings.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from helpers.scripts import free_port

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["deoldify_lite.cli", "deoldify_lite.training.nogan"])


def start(log: Path, function: Callable, *arguments, **environment: str) -> BaseProcess:
    "Call a function of a module that can be imported. All that it prints, and its traceback, goes into `log`."
    process = FORKS.Process(target=_logged, args=(log, environment, function, *arguments), daemon=True)
    process.start()
    return process


def start_pair(log: Path, function: Callable, *arguments) -> list[BaseProcess]:
    "The same twice, as `torchrun` does with two processes on one machine."
    both = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [start(log, function, *arguments, **both, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]


def _logged(log: Path, environment: dict[str, str], function: Callable, *arguments) -> None:
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    function(*arguments)


def nogan(*arguments: str) -> None:
    "The command."
    from deoldify_lite.cli import program

    program(["nogan", *arguments])


def fit_both_networks(photos: Path, folder: Path) -> None:
    "Some steps of a generator stage and of a GAN phase. The weights of this process go into `folder/rank-N.pt`."
    import torch

    from deoldify_lite.presets import preset
    from deoldify_lite.training import distributed
    from deoldify_lite.training.gan import gan_learner
    from deoldify_lite.training.run import Run
    from deoldify_lite.training.stages import generator_learner
    from helpers.smoke import SMALL

    run = Run(folder / "run", preset("smoke").override(SMALL | {"gan.fraction": "1"}), (photos,), "cpu")
    state = {}
    for name, learn in (("generator", generator_learner(run, 1)), ("gan", gan_learner(run, 1, None, None))):
        before = {k: v.clone() for k, v in learn.model.state_dict().items()}
        learn.fit(1)
        after = learn.model.state_dict()
        assert any(not torch.equal(v, before[k]) for k, v in after.items())
        state |= {f"{name}.{k}": v for k, v in after.items()}
    torch.save(state, folder / f"rank-{distributed.rank()}.pt")
