"""An archive colorized by several processes, on one machine or on a Ray cluster. Needs the extra `ray`."""

import json
import logging
import math
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
import ray.data

from ..errors import Unavailable
from ..photo.decoders import configure_decoders
from .attempts import Attempts
from .colorizer import Colorizer
from .folder import Job, Result
from .pipeline import colorize_all

BATCH = 32  # photos that an actor gets at once, at most


class Predictor:
    "An actor: a colorizer that stays, and does one batch of photos after the other."

    def __init__(self, attempts: Any, weights: str, render_factor: int | None, options: dict[str, Any]):
        configure_decoders()
        self.attempts = attempts
        self.colorizer = Colorizer(weights, render_factor=render_factor)
        if options.get("like"):
            options = options | {"like": self.colorizer.reference(options["like"], max_pixels=options["max_pixels"])}
        self.options = options

    def __call__(self, batch: dict) -> dict:
        jobs = [Job(Path(photo), Path(result)) for row in batch["jobs"] for photo, result in json.loads(row)]
        if ray.get(self.attempts.begin.remote(str(jobs[0].input))) > 1:
            raise RuntimeError("the process that had this batch before died of it")
        return {"result": [result.to_json() for result in self.predict(jobs)]}

    def predict(self, jobs: list[Job]) -> Iterator[Result]:
        return colorize_all(jobs, self.colorizer, **self.options)


def start_ray(address: str | None) -> None:
    """Connect to a cluster, or start one on this machine without its web page, and have Ray say nothing but errors.

    Raises:
        Unavailable: there is no cluster at `address`, or none can be started here.
    """
    try:
        _connect(address)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Unavailable(f"no Ray at {address or 'this machine'}: {reason}") from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is in the report
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # a batch whose actor dies stops no other


def _connect(address: str | None) -> None:
    if address not in (None, "auto"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if not port.isdecimal():
            raise ValueError("an address is HOST:PORT")
        socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would try for minutes
    own = {} if address else {"include_dashboard": False}
    ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **own)


def colorize_with_actors(jobs: list[Job], predictor: tuple, actors: int | None) -> Iterator[Result]:
    """A `Result` for each job, as they come.

    No photo stops the rest, not even one that takes its whole process down: those of its batch are done again one by
    one, and then only that one fails.
    """
    left = {str(job.input): job for job in jobs}
    for most in (BATCH, 1):
        for result in run_batches(list(left.values()), predictor, actors, most) if left else ():
            left.pop(result.input, None)
            yield result
    for job in left.values():
        yield Result(str(job.input), str(job.output), "failed", "the process that worked on it died")


def run_batches(jobs: list[Job], predictor: tuple, actors: int | None, most: int) -> Iterator[Result]:
    "The results of the jobs, `most` of which go to an actor at once."
    # Photos that would have the same result stay together, so that the second is refused. As JSON, since names of files
    # need not be text, which Ray's tables insist on.
    rows: dict[Path, list[tuple[str, str]]] = {}
    for job in jobs:
        rows.setdefault(job.output, []).append((str(job.input), str(job.output)))
    actors, resources = actors_and_resources(actors)
    batches = max(math.ceil(len(rows) / most), min(len(rows), 4 * actors))
    todo = ray.data.from_items([{"jobs": json.dumps(row)} for row in rows.values()], override_num_blocks=batches)
    attempts = ray.remote(num_cpus=0)(Attempts).remote()
    done = todo.map_batches(
        Predictor,
        fn_constructor_args=(attempts, *predictor),
        batch_size=None,  # the blocks, as they are
        compute=ray.data.ActorPoolStrategy(size=min(actors, batches)),
        **resources,
    )
    for row in done.iter_rows():
        yield Result(**json.loads(row["result"]))


def actors_and_resources(actors: int | None) -> tuple[int, dict[str, float]]:
    "How many actors, and what each may use of the machine that it is on."
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    gpus = sum(machine.get("GPU", 0) for machine in machines)
    actors = actors or int(gpus) or len(machines)
    on_each = math.ceil(actors / len(machines))
    cores = min(machine["CPU"] for machine in machines)
    return actors, {"num_cpus": cores // on_each or cores / on_each, "num_gpus": min(1, gpus / actors)}
