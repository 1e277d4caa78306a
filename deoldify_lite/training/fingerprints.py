"""What decides a stage's result: the part of the schedule that it and the stages before it depend on.

A stage keeps its fingerprint beside its result. A run whose schedule was changed since is refused instead of going on
from weights of another schedule.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..files import sha256
from ..schedule import Networks, Schedule

DATA = ("augment", "degradation", "weight_decay", "max_grad_norm", "validation", "balance", "seed")
CRITIC = ("critic", "critic_backbone", "critic_width")  # fields of Networks that no generator stage depends on


def encoder_fingerprint(schedule: Schedule, i: int) -> dict[str, Any]:
    "Of encoder stage number `i`."
    parts = {name: getattr(schedule, name) for name in DATA}
    return parts | {"encoder": schedule.networks.encoder, "stages": schedule.encoder_stages[: i + 1]}


def generator_fingerprint(schedule: Schedule, i: int, init_from: Path | None) -> dict[str, Any]:
    "Of generator stage number `i`; `init_from` are the weights that the run starts from instead of ImageNet's."
    content = _content(init_from, init_from.stat().st_mtime_ns) if init_from else ""
    critic = {name: getattr(Networks, name) for name in CRITIC}
    networks = replace(schedule.networks, init_from=content, **critic)
    parts = {name: getattr(schedule, name) for name in ("loss", *DATA)}
    stages = {"encoder_stages": schedule.encoder_stages, "stages": schedule.generator_stages[: i + 1]}
    if schedule.restores:
        parts["damage"] = schedule.damage
    return parts | stages | {"networks": networks}


def hints_fingerprint(schedule: Schedule, i: int, generator: Path) -> dict[str, Any]:
    "Of hint stage number `i`, for the weights of a `generator`."
    parts = {name: getattr(schedule, name) for name in ("loss", *DATA)}
    content = _content(generator, generator.stat().st_mtime_ns)
    return parts | {"generator": content, "stages": schedule.hint_stages[: i + 1]}


@lru_cache
def _content(file: Path, _changed: int) -> str:
    return sha256(file)[:12]


def cycle_fingerprint(schedule: Schedule, cycle: int, part: str, init_from: Path | None) -> dict[str, Any]:
    "Of a part of a cycle: generate, critic or gan."
    parts = generator_fingerprint(schedule, len(schedule.generator_stages), init_from)
    parts |= {"cycle": cycle, "generate": schedule.generate}
    if part == "generate":  # pictures for all critics
        parts["size"] = schedule.generated_size
    if part != "generate" or cycle > 1:
        parts |= {name: getattr(schedule.networks, name) for name in CRITIC}
        parts["critic_stages"] = schedule.critic_stages
    if part == "gan" or cycle > 1:
        parts["gan"] = schedule.gan
    return parts


def first_difference(old: Any, new: Any, where: str = "") -> str | None:
    """The first place where two nested structures differ, as text; None where they are equal.

    `old` is in plain types, as it was stored; `new` may have dataclasses in it. What `old` lacks came after it was
    stored: a field of a dataclass counts as having been at its default, which is to leave things as they were, and what
    has no default is not compared.
    """
    if isinstance(old, dict) and is_dataclass(new):
        old = {f.name: f.default for f in fields(new) if f.default is not MISSING} | old
        new = {f.name: getattr(new, f.name) for f in fields(new)}
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old):
            if found := first_difference(old.get(key), new.get(key), f"{where}.{key}" if where else str(key)):
                return found
        return None
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new)):
            if found := first_difference(a, b, f"{where}.{i}"):
                return found
        return None
    return None if old == new else f"{where} was {old!r} and is now {new!r}"
