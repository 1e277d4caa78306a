"""Changes that make the smoke preset smaller still: every stage in a second or two."""

from pathlib import Path

from deoldify_lite.presets import preset
from deoldify_lite.training.run import Run

SMALL = {
    "generator_stages": "[{name: a, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-4, frozen: true},"
    " {name: b, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-4}]",
    "critic_stages": "[{name: c, size: 64, batch: 4, lr: 1.0e-3, epochs: 2}]",
    "networks.encoder": "test_efficientnet",
    "gan.size": "64",
    "gan.max_critic_steps": "2",
}


def run_in(folder: Path, photos: Path, **changes: str) -> Run:
    """A run of the smoke preset made smaller; packed photos are shared with other runs on the same ones."""
    schedule = preset("smoke").override(SMALL | changes)
    return Run(folder, schedule, (photos,), device="cpu", cache=photos / ".packs")
