"""Put colour on a large archive with several processes, on one machine or on a Ray cluster.

python scripts/colorize_ray.py -r photos/ colour/                     this machine
python scripts/colorize_ray.py -r photos/ colour/ --address auto      the cluster that this machine is part of

Needs `pip install "deoldify_lite[ray]"`. On a cluster, every machine has the package and sees both folders under the
same paths. Results, report and exit codes are those of colorize_dir.py, but for the order of the photos.
"""

import json
import logging
import math
import os
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from deoldify_lite.cli import UNAVAILABLE, Weights, fail, find_work, script, tell
from deoldify_lite.limits import MAX_PIXELS

BATCH = 32  # photos that an actor gets at once, at most


class Attempts:
    "An actor: how often each batch was begun. Ray gives a batch whose actor died to another one, for ever."

    def __init__(self):
        self.begun = Counter()

    def begin(self, batch: str) -> int:
        self.begun[batch] += 1
        return self.begun[batch]


class Painter:
    "An actor: a colorizer that stays, and does one batch of photos after the other."

    def __init__(self, attempts: Any, weights: str, render_factor: int | None, options: dict[str, Any]):
        from deoldify_lite import Colorizer
        from deoldify_lite.photo.quiet import quiet_decoders

        quiet_decoders()
        self.attempts = attempts
        self.colorizer = Colorizer(weights, render_factor=render_factor)
        self.options = options

    def __call__(self, batch: dict) -> dict:
        import ray

        from deoldify_lite.colorize.folder import Job

        jobs = [Job(Path(photo), Path(result)) for row in batch["jobs"] for photo, result in json.loads(row)]
        if ray.get(self.attempts.begin.remote(str(jobs[0].input))) > 1:
            raise RuntimeError("the process that had this batch before died of it")
        return {"result": [result.to_json() for result in self.paint(jobs)]}

    def paint(self, jobs: list) -> Iterator:
        from deoldify_lite.colorize.pipeline import colorize_all

        return colorize_all(jobs, self.colorizer, **self.options)


def colorize(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A folder of photos.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the results go.")],
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Also the subfolders; the tree is kept.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Do again what is already there, instead of skipping it.")] = False,
    weights: Weights = "lite",
    render_factor: Annotated[int | None, typer.Option(min=2, max=64, help="As for colorize_dir.py.")] = None,
    strength: Annotated[float, typer.Option(min=0, max=3, help="0 is grey, 1 as predicted, more is louder.")] = 1.0,
    actors: Annotated[
        int | None, typer.Option(min=1, help="Processes. By default one for each GPU, or else one for each machine.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster that runs already; auto for the one around this machine.")
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Larger photos are refused before they are decoded.")
    ] = MAX_PIXELS,
    report: Annotated[Path | None, typer.Option(help="Append a JSON line for every photo to this file.")] = None,
) -> None:
    """Put colour on a folder of photos with Ray.

    Prints the path of each result. What is done is skipped, so the same command goes on after an interruption.
    """
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"} | os.environ
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise fail('Ray is not here: pip install "deoldify_lite[ray]"', UNAVAILABLE) from error

    from deoldify_lite.modeling.weights import BadWeights, load_generator

    # Absolute, since other processes and machines are elsewhere.
    jobs, report_lines = find_work(source.absolute(), target.absolute(), recursive, report)
    try:
        load_generator(weights)  # said once, here, and not by every actor
    except BadWeights as error:
        raise fail(str(error), UNAVAILABLE) from error
    if Path(weights).exists():
        weights = str(Path(weights).absolute())
    try:
        start_ray(address)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise fail(f"no Ray at {address or 'this machine'}: {reason}", UNAVAILABLE) from error
    try:
        painter = (weights, render_factor, {"overwrite": overwrite, "strength": strength, "max_pixels": max_pixels})
        tell(colorize_with_actors(jobs, painter, actors), len(jobs), report_lines)
    except ray.exceptions.RayError as error:
        raise fail(f"Ray gave up: {str(error).strip().splitlines()[0]}", 1) from error
    finally:
        ray.shutdown()


def start_ray(address: str | None) -> None:
    "Connect to a cluster, or start one on this machine without its web page, and have Ray say nothing but errors."
    import ray

    if address not in (None, "auto"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if not port.isdecimal():
            raise ValueError("an address is HOST:PORT")
        socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would try for minutes
    own = {} if address else {"include_dashboard": False}
    ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **own)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is in the report
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # a batch whose actor dies stops no other


def colorize_with_actors(jobs: list, painter: tuple, actors: int | None) -> Iterator:
    """A `Result` for each job, as they come.

    No photo stops the rest, not even one that takes its whole process down: those of its batch are done again one by
    one, and then only that one fails.
    """
    from deoldify_lite.colorize.folder import Result

    left = {str(job.input): job for job in jobs}
    for most in (BATCH, 1):
        for result in run_batches(list(left.values()), painter, actors, most) if left else ():
            left.pop(result.input, None)
            yield result
    for job in left.values():
        yield Result(str(job.input), str(job.output), "failed", "the process that worked on it died")


def run_batches(jobs: list, painter: tuple, actors: int | None, most: int) -> Iterator:
    "The results of the jobs, `most` of which go to an actor at once."
    import ray

    from deoldify_lite.colorize.folder import Result

    # Photos that would have the same result stay together, so that the second is refused. As JSON, since names of files
    # need not be text, which Ray's tables insist on.
    rows: dict[Path, list[tuple[str, str]]] = {}
    for job in jobs:
        rows.setdefault(job.output, []).append((str(job.input), str(job.output)))
    actors, resources = share_out(actors)
    batches = max(math.ceil(len(rows) / most), min(len(rows), 4 * actors))
    todo = ray.data.from_items([{"jobs": json.dumps(row)} for row in rows.values()], override_num_blocks=batches)
    attempts = ray.remote(num_cpus=0)(Attempts).remote()
    done = todo.map_batches(
        Painter,
        fn_constructor_args=(attempts, *painter),
        batch_size=None,  # the blocks, as they are
        compute=ray.data.ActorPoolStrategy(size=min(actors, batches)),
        **resources,
    )
    for row in done.iter_rows():
        yield Result(**json.loads(row["result"]))


def share_out(actors: int | None) -> tuple[int, dict[str, float]]:
    "How many actors, and what each may use of the machine that it is on."
    import ray

    machines = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    gpus = sum(machine.get("GPU", 0) for machine in machines)
    actors = actors or int(gpus) or len(machines)
    on_each = math.ceil(actors / len(machines))
    cores = min(machine["CPU"] for machine in machines)
    return actors, {"num_cpus": cores // on_each or cores / on_each, "num_gpus": min(1, gpus / actors)}


if __name__ == "__main__":
    script(colorize)
