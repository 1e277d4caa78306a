"""Training that goes on from existing weights instead of ImageNet's: `networks.start` of the schedule.

The run keeps a copy of those weights, so that it goes on to the same result whatever becomes of the file that was
named. The copy's hash is part of every recipe.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ..errors import UsageError
from ..files import sha256, write_atomically
from ..modeling.weights import BadWeights, find_weights, load_generator
from ..schedule import Networks


def start_from(weights: str, networks: Networks, folder: Path) -> Networks:
    """`networks` for a run in `folder` that starts from `weights`, a name or a file: the generator is theirs.

    Raises:
        BadWeights: no such weights, or not of a generator that can be trained here.
        ValueError: the run was begun from other weights.
    """
    path, kept = find_weights(weights), kept_start(folder)
    if kept and content_hash(kept) != content_hash(path):
        raise UsageError(
            f"{folder} was begun from other weights than {weights} holds now: to go on name none, or give another --run"
        )
    config = {"encoder": "", "attention": True} | load_generator(path).config
    try:
        return replace(networks, start=weights, generator=config.pop("architecture"), **config)
    except TypeError as error:
        raise BadWeights(f"{weights}: not a generator that NoGAN trains") from error


def kept_start(folder: Path) -> Path | None:
    "The copy of the weights that the run in `folder` was begun from."
    return next(folder.glob("start.*"), None)


def start_weights(folder: Path, networks: Networks) -> Path | None:
    """What the run in `folder` starts from, its own copy where there is one; None when that is ImageNet's weights.

    Raises:
        BadWeights: they are not there.
    """
    return (kept_start(folder) or find_weights(networks.start)) if networks.start else None


def keep_start(folder: Path, networks: Networks) -> None:
    "Copy the weights to start from into the run folder, once."
    weights = start_weights(folder, networks)
    if weights and not kept_start(folder):
        write_atomically(folder / f"start{weights.suffix}", weights.read_bytes())


def content_hash(path: Path) -> str:
    "The first twelve digits of a file's SHA-256."
    return _hash(path, path.stat().st_mtime_ns)


@lru_cache
def _hash(path: Path, _changed: int) -> str:
    return sha256(path)[:12]
