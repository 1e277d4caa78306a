"""Everything a stage needs to go on exactly where it was killed.

What is random in a step follows from the seed, the stage and the step's number (`data.step_generator`), so a
checkpoint holds networks, optimisers and one number, and no state of any random generator.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from ..files import atomic_path
from .errors import WrongCheckpoint


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    "Write tensors, numbers, strings, lists and dicts of them atomically: killed at any moment, the old file stands."
    with atomic_path(path) as temporary:
        torch.save(dict(content), temporary)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """What was saved to `path`, on the CPU; None where nothing was. Never executes a pickle.

    Raises:
        WrongCheckpoint: damaged.
    """
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WrongCheckpoint(
            f"{path}: damaged ({type(error).__name__}); delete it to begin this stage again"
        ) from error


def first_difference(old: Any, new: Any, where: str = "") -> str | None:
    """The first place where two nested structures differ, as text; None where they are equal.

    `old` is in plain types, as it was stored; `new` may have dataclasses in it. A field of theirs that `old` lacks came
    after it was stored and counts as having been at its default, which is to leave things as they were.
    """
    if isinstance(old, dict) and is_dataclass(new):
        old = {f.name: f.default for f in fields(new) if f.default is not MISSING} | old
        new = {f.name: getattr(new, f.name) for f in fields(new)}
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if found := first_difference(old.get(key), new.get(key), f"{where}.{key}" if where else str(key)):
                return found
        return None
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new)):
            if found := first_difference(a, b, f"{where}.{i}"):
                return found
        return None
    return None if old == new else f"{where} was {old!r} and is now {new!r}"


def fastai_state(optimizer: Any) -> dict[str, Any]:
    "A fastai optimizer's state in plain types, which load without executing anything."
    state = optimizer.state_dict()
    return {
        "state": [dict(s) for s in state["state"]],
        "hypers": [{k: float(v) for k, v in h.items()} for h in state["hypers"]],
    }


def load_fastai_state(optimizer: Any, state: dict[str, Any], device: torch.device) -> None:
    "The inverse of `fastai_state`."
    moved = [{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in s.items()} for s in state["state"]]
    optimizer.load_state_dict({"state": moved, "hypers": state["hypers"]})
