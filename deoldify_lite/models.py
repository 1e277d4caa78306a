"""The generators that have a name: those that ship with the package, and those that DeOldify published.

A new one is an entry here, its file in `weights/`, and its model card in `docs/`. Loads neither torch nor fastai.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent / "weights"


def weights_folder() -> Path:
    "Where weights that do not ship are looked for: $DEOLDIFY_LITE_WEIGHTS, else ~/.cache/deoldify_lite."
    return Path(os.environ.get("DEOLDIFY_LITE_WEIGHTS") or Path.home() / ".cache" / "deoldify_lite")


@dataclass(frozen=True)
class Model:
    """A generator and its weights.

    architecture, encoder: as `build_generator` takes them; the architectures of DeOldify include their encoder.
    sha256: of the file, where it ships; None for others, of which this package keeps no hash.
    hints_sha256: of the file of its branch for hints, where one ships; it lies beside that of the generator.
    render_factor: the network sees as many pixels as a square with sides of 16 times this, by default; generators of
        this package more of large photos (`Engine.render_factor_for`). 0 for restorers, which see them at their size.
    card: the model card, a path in this repository or an address.
    """

    name: str
    architecture: str
    encoder: str | None
    file: str
    sha256: str | None
    render_factor: int
    trained_on: str
    licence: str
    card: str
    hints_sha256: str | None = None

    @property
    def ships(self) -> bool:
        "Whether the file is part of the package."
        return self.sha256 is not None

    @property
    def path(self) -> Path:
        "Where the file is, or would have to be."
        return (SHIPPED if self.ships else weights_folder()) / self.file

    @property
    def files(self) -> dict[Path, str]:
        "What ships of the model: files and their SHA-256."
        branch = {hint_branch_file(self.path): self.hints_sha256} if self.hints_sha256 else {}
        return {self.path: self.sha256} | branch if self.ships else {}


def hint_branch_file(generator: Path) -> Path:
    "Where the branch for hints of a generator's weights is: beside them."
    return generator.with_name(f"{generator.stem}_hints.safetensors")


DEOLDIFY = {"licence": "MIT: DeOldify, Jason Antic", "card": "https://github.com/jantic/DeOldify"}
MODELS = {
    model.name: model
    for model in (
        Model(
            name="lite",
            architecture="lite",
            encoder="tf_efficientnet_lite2",
            file="lite.safetensors",
            sha256="374b1d6972e12c87e6e40284d03060e2b4a32f254ce2317f8e1711a5233c5022",
            render_factor=12,
            trained_on="46,000 photos of public research sets, at up to 192 pixels",
            licence="MIT",
            card="docs/model_card.md",
            hints_sha256="e1e141656a6431add617440e14a932ef9748e4303f63995fe898a25064fd43ae",
        ),
        Model("deep", "deep", None, "ColorizeArtistic_gen.pth", None, 35, "ImageNet", **DEOLDIFY),
        Model("wide", "wide", None, "ColorizeStable_gen.pth", None, 35, "ImageNet", **DEOLDIFY),
    )
}


# Those that restore photos instead of colorizing them: names of their own, which no colorizer takes.
RESTORERS = {
    model.name: model
    for model in (
        Model(
            name="restore",
            architecture="restorer",
            encoder="tf_efficientnet_lite0",
            file="restore.safetensors",
            sha256="a6874bf4785963a4c73e611db9e6eced74eaaa3c0909981b892766b56d60e105",
            render_factor=0,
            trained_on="46,000 photos of public research sets with synthetic damage, crops of 128 pixels",
            licence="MIT",
            card="docs/model_card_restore.md",
        ),
    )
}


def shipped() -> list[Model]:
    "The models in the package, the default first."
    return [model for model in MODELS.values() if model.ships]


def usual_render_factor(config: Mapping[str, Any]) -> int:
    """The default render factor of a network whose file records none, from its description.

    That of the model with its architecture, else of `lite`. Networks of the pix2pix family see photos at the size that
    they were trained on.
    """
    if config["architecture"] == "pix2pix":
        return max(2, config["size"] // 16)
    return MODELS.get(config["architecture"], MODELS["lite"]).render_factor
