"""One film by several processes, on one machine or on a Ray cluster. Needs the extra `ray`."""

from collections import deque
from pathlib import Path
from typing import Any

import av
import ray

from ..colorize.ray import actors_and_resources
from ..errors import DeoldifyError, Unavailable
from .colorizer import VideoColorizer
from .containers import Plan
from .job import Options, Progress, expected_frames
from .parts import Parts, path_of
from .reading import Video
from .splitting import Part, find_parts, write_part

ATTEMPTS = 2  # at a part, by processes that die


class PartColorizer:
    "An actor: a colorizer that stays, and does one part after the other."

    def __init__(self, arguments: dict[str, Any]):
        self.colorizer = VideoColorizer(**arguments)

    def settings(self) -> dict[str, Any]:
        return self.colorizer.settings()

    def write(self, part: Part, video: Video, options: Options, plan: Plan, folder: Path) -> None:
        write_part(part, video, options, plan, self.colorizer, folder)


class RayColorizer:
    """A `colorizer` for `job.colorize_file`, whose `encode` has other processes do the work.

    This process reads the film once, to find the parts; actors colorize and encode them. On a cluster, every machine
    sees video and result under the same paths.

    Args:
        arguments: of `VideoColorizer`.
        actors: how many; None for one for each GPU, or else for each machine.

    Raises:
        Unavailable: the actors would not compute the same colours, so that parts would differ.
    """

    def __init__(self, arguments: dict[str, Any], actors: int | None = None):
        self.reader = VideoColorizer(**arguments | {"device": "cpu"})
        count, resources = actors_and_resources(actors)
        kind = ray.remote(max_restarts=-1, max_task_retries=ATTEMPTS - 1, **resources)(PartColorizer)
        self.actors = [kind.remote(arguments) for _ in range(count)]
        settings = ray.get([actor.settings.remote() for actor in self.actors])
        self._settings = settings[0]
        for other in settings:
            if unlike := [name for name, value in self._settings.items() if other[name] != value]:
                both = " and ".join(f"{each['precision']} on {each['device']}" for each in (self._settings, other))
                raise Unavailable(f"the machines of this cluster are too different for one film ({unlike[0]}): {both}")

    def settings(self) -> dict[str, Any]:
        return self._settings

    def encode(
        self, parts: Parts, video: Video, colorizer: Any, options: Options, plan: Plan, progress: Progress
    ) -> int:
        "Have the missing parts written. Returns the number of frames of all."
        total, done = expected_frames(video, options), 0
        idle, busy = deque(self.actors), {}

        def wait_for_one() -> None:
            nonlocal done
            (ended,), _ = ray.wait(list(busy))
            actor, part = busy.pop(ended)
            _result(ended)
            idle.append(actor)
            done += part.end - part.begin
            progress(done, total)

        end = 0
        for part in find_parts(video, options, self.reader):
            end = part.end
            if path_of(parts.folder, part.begin, part.end).exists():
                done += part.end - part.begin
                progress(done, total)
                continue
            if not idle:
                wait_for_one()
            actor = idle.popleft()
            busy[actor.write.remote(part, video, options, plan, parts.folder.absolute())] = actor, part
        while busy:
            wait_for_one()
        return end


def _result(task: Any) -> None:
    "What a task raised, as it raised it."
    try:
        ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (DeoldifyError, OSError, av.FFmpegError)):
            raise error.cause from error
        raise
