"""Everything a stage needs to go on exactly where it was killed.

What is random in a step follows from the seed, the stage and the step's number (`data.step_generator`), so a
checkpoint holds networks, optimisers and one number, and no state of any random generator.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..files import write_atomically
from .errors import WrongCheckpoint


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    "Write tensors, numbers, strings, lists and dicts of them atomically: killed at any moment, the old file stands."
    saved = io.BytesIO()  # torch's own writer makes an unreadable error of a full disk
    torch.save(dict(content), saved)
    write_atomically(path, saved.getbuffer())


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


def optimizer_state(optimizer: Any) -> dict[str, Any]:
    "A fastai optimizer's state in plain types, which load without executing anything."
    state = optimizer.state_dict()
    return {
        "state": [dict(s) for s in state["state"]],
        "hypers": [{k: float(v) for k, v in h.items()} for h in state["hypers"]],
    }


def load_optimizer_state(optimizer: Any, state: dict[str, Any], device: torch.device) -> None:
    "The inverse of `optimizer_state`."
    moved = [{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in s.items()} for s in state["state"]]
    optimizer.load_state_dict({"state": moved, "hypers": state["hypers"]})
