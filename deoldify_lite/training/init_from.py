"""Training that goes on from existing weights instead of ImageNet's: `networks.init_from` of the schedule.

The run keeps a copy of those weights, so that it goes on to the same result whatever becomes of the file that was
named. The copy's hash is part of every fingerprint.
"""

from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from ..files import sha256, write_atomically
from ..modeling.generator import DEFAULTS
from ..modeling.weights import BadWeights, find_weights, load_network
from ..schedule import Networks, Schedule

NAME = "init_from"


def init_networks(weights: str, schedule: Schedule, folder: Path) -> Networks:
    """The networks of a run in `folder` that starts from `weights`, a name or a file: the generator is theirs.

    Of its options only those of the head that the schedule's postprocessing sets stay the schedule's: a network that
    trained with them would learn to undo them.

    Raises:
        BadWeights: no such weights, or not of a generator that can be trained here.
        UsageError: the run was begun from other weights.
    """
    path, kept = find_weights(weights), _copy(folder)
    if kept and sha256(kept) != sha256(path):
        raise UsageError(
            f"{folder} was begun from other weights than {weights} holds now: to go on name none, or give another --run"
        )
    config = {"encoder": ""} | DEFAULTS | load_network(path).config
    own = {name: value for name, value in config.items() if name not in schedule.postprocess.head}
    try:
        return replace(schedule.networks, init_from=weights, generator=own.pop("architecture"), **own)
    except TypeError as error:
        raise BadWeights(f"{weights}: not a generator that NoGAN trains") from error


def init_weights(folder: Path, networks: Networks) -> Path | None:
    """What the run in `folder` starts from, its own copy where there is one; None when that is ImageNet's weights.

    Raises:
        BadWeights: they are not there.
    """
    return (_copy(folder) or find_weights(networks.init_from)) if networks.init_from else None


def keep_init_weights(folder: Path, networks: Networks) -> None:
    "Copy the weights to start from into the run folder, once."
    weights = init_weights(folder, networks)
    if weights and not _copy(folder):
        write_atomically(folder / f"{NAME}{weights.suffix}", weights.read_bytes())


def _copy(folder: Path) -> Path | None:
    "The run folder's copy of the weights that it was begun from."
    return next(folder.glob(f"{NAME}.*"), None)
