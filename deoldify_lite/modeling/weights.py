"""From a name or a file to a network with its weights, and back to a file.

Files are safetensors that say in their metadata which network they belong to, or DeOldify's published `.pth`. Both
load strictly: every weight has its place and every place its weight. A pickle is never executed.
"""

import json
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..errors import Unavailable
from ..files import sha256, write_atomically
from ..models import MODELS, RESTORERS, hint_branch_file, usual_render_factor
from .generator import build_generator
from .hint_branch import HintBranch
from .layers import plain_state
from .restorer import RestorerUnet

METADATA_KEY = "deoldify_lite"
ABOUT = ("render_factor", "training_size", "threshold")  # what the metadata may say beside what builds the network


class BadWeights(Unavailable, ValueError):
    "A weights file that is missing, damaged, or belongs to another network. The message says which and what to do."


def find_weights(name_or_path: str | Path) -> Path:
    """The file behind the name of a generator or restorer (see `models.py`), or the path itself.

    Raises:
        BadWeights: no such name, and no such file.
    """
    name = str(name_or_path)
    model = (MODELS | RESTORERS).get(name)
    if model is None:
        if not Path(name).is_file():
            raise BadWeights(f"weights {name!r}: no such file, and not one of {', '.join(sorted(MODELS | RESTORERS))}")
        return Path(name)
    path = model.path
    if model.ships and not path.is_file():
        raise BadWeights(f"the weights of {name!r} are missing from this package, {path}: give a file instead")
    if not path.is_file():
        raise BadWeights(
            f"the weights of {name!r} are DeOldify's {path.name}, which has to be fetched by hand: put "
            f"it at {path} or give its path instead of {name!r}"
        )
    return path


def load_generator(name_or_path: str | Path = "lite", device: str | torch.device = "cpu") -> nn.Module:
    """A generator with its weights, in eval mode, on `device`.

    Takes the name of shipped weights (`lite`), `deep` or `wide` (DeOldify's files), or a path to a
    `.safetensors` made by this package or a `.pth` published by DeOldify. The network takes normalised NCHW floats
    (ImageNet statistics), any height and width, and gives raw output in (-3, 3) of the same shape. Spectral norm is
    folded in.

    Raises:
        BadWeights: missing, truncated, of another architecture, not finite, or not weights at all.
    """
    generator = load_network(name_or_path, device)
    if generator.predicts == "restoration":
        raise BadWeights(
            f"{name_or_path}: these weights restore photos and put no colour on them: use `deoldify-lite restore`"
        )
    return generator


def load_restorer(name_or_path: str | Path = "restore", device: str | torch.device = "cpu") -> RestorerUnet:
    """A restorer with its weights, in eval mode, on `device`: `restore`, which ships, or a path to a `.safetensors`.

    Raises:
        BadWeights: as `load_generator`, or a generator that colorizes.
    """
    restorer = load_network(name_or_path, device)
    if restorer.predicts != "restoration":
        raise BadWeights(
            f"{name_or_path}: these weights colorize photos and do not restore them: use `deoldify-lite colorize`"
        )
    return restorer


def load_network(name_or_path: str | Path, device: str | torch.device = "cpu") -> nn.Module:
    "A generator of either kind, as `load_generator` and `load_restorer` have it."
    path = find_weights(name_or_path)
    config, state = _read_deoldify(path) if _is_pickle(path) else read_safetensors(path)
    try:
        with torch.device("meta"):  # no time spent on random weights; the encoder's dry run needs no numbers either
            generator = _build(**config)
    except (TypeError, ValueError) as error:
        raise BadWeights(f"{path}: not a generator that this version knows: {config}") from error
    load_strictly(generator, state, path)
    return generator.to(device).eval()


def _build(architecture: str, **options) -> nn.Module:
    "The untrained network that a file's description speaks of."
    if architecture == "pix2pix":
        from ..baselines.networks import Pix2Pix  # a user of this package, so not at import

        return Pix2Pix(**options)
    if architecture == RestorerUnet.architecture:
        return RestorerUnet(**options)
    return build_generator(architecture, **options)


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    "Load `state` in float32; every key and shape must fit, all numbers be finite, else `BadWeights` names the file."
    state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    wanted = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in state.items()}
    if wanted != found:
        wrong = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
        raise BadWeights(
            f"{path}: weights of another network: {len(wrong)} of {len(wanted)} entries differ, "
            f"the first is {wrong[0]} ({found.get(wrong[0], 'missing')} instead of "
            f"{wanted.get(wrong[0], 'nothing')})"
        )
    if broken := [k for k, v in state.items() if not v.sum().isfinite()]:  # whose sum is quicker to see
        raise BadWeights(
            f"{path}: NaN or infinity in {len(broken)} of its {len(state)} tensors, the first is {broken[0]}: "
            "the training that made it went wrong; take an earlier checkpoint"
        )
    module.load_state_dict(state, assign=any(p.is_meta for p in module.parameters()))


def read_safetensors(path: Path) -> tuple[dict, dict[str, Tensor]]:
    "The network's description and its state dict from a file of `save_weights`."
    description = _read_description(path)
    with _as_bad_weights(path):
        state = load_file(path)
    return {key: value for key, value in description.items() if key not in ABOUT}, state


def default_render_factor(name_or_path: str | Path, config: Mapping[str, Any]) -> int:
    """What the file records as its default render factor, else the usual one of a network with this description.

    Raises:
        BadWeights: as `load_generator`.
    """
    path = find_weights(name_or_path)
    recorded = {} if _is_pickle(path) else _read_description(path)
    return recorded.get("render_factor") or usual_render_factor(config)


def default_threshold(name_or_path: str | Path) -> float:
    """The probability of damage that a restorer's file records as its threshold, else a half.

    Raises:
        BadWeights: as `load_restorer`.
    """
    return _read_description(find_weights(name_or_path)).get("threshold", 0.5)


def _read_description(path: Path) -> dict[str, Any]:
    with _as_bad_weights(path), safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    if METADATA_KEY not in metadata:
        raise BadWeights(f"{path}: holds no generator of this package (its metadata has no {METADATA_KEY!r})")
    try:
        description = json.loads(metadata[METADATA_KEY])
    except ValueError:
        description = None
    if not isinstance(description, dict) or not isinstance(description.get("render_factor", 2), int):
        raise BadWeights(f"{path}: its description of the network is damaged; fetch or copy it again")
    return description


@contextmanager
def _as_bad_weights(path: Path) -> Iterator[None]:
    try:
        yield
    except (safetensors.SafetensorError, OSError) as error:
        raise BadWeights(f"{path}: not a safetensors file, or a truncated one; fetch or copy it again") from error


def _is_pickle(path: Path) -> bool:
    return path.suffix.lower() in (".pth", ".pt")


def save_weights(
    network: nn.Module | None,
    path: Path,
    *,
    config: dict | None = None,
    about: Mapping[str, Any] | None = None,
    state: Mapping[str, Tensor] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a network's plain weights (spectral norm folded in) and what is needed to build it again, atomically.

    `state` and `config` replace the network's own; `dtype` float16 halves the file. `about` goes into the metadata:
    `render_factor`, the default when colorizing, and `training_size`, pixels.
    """
    state = plain_state(network) if state is None else state
    config = network.config if config is None else config
    state = {k: (v.to(dtype) if dtype and v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
    write_atomically(path, save(state, {METADATA_KEY: json.dumps(config | dict(about or {}))}))


def average_weights(sources: Sequence[str | Path], path: Path) -> None:
    """Write the mean of several generators' weights: a model soup (Wortsman et al. 2022, arXiv:2203.05482).

    They must have begun from the same weights; the mean of networks that have nothing in common predicts nonsense. What
    the first file records beside its network, such as its default render factor, the mean records, too.

    Raises:
        BadWeights: as `load_network`, or networks that are not built alike.
    """
    networks = [load_network(source) for source in sources]
    for source, network in zip(sources, networks):
        if network.config != networks[0].config:
            raise BadWeights(f"{source}: another network than {sources[0]}, so that their weights have no mean")
    states = [network.state_dict() for network in networks]
    first = find_weights(sources[0])
    described = {} if _is_pickle(first) else _read_description(first)
    about = {key: value for key, value in described.items() if key in ABOUT}
    save_weights(networks[0], path, state=mean_of_states(states), about=about)


def mean_of_states(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    "The mean of several networks' weights and statistics; what is no floating-point number is the first's."
    return {
        k: torch.stack([s[k] for s in states]).mean(0) if v.is_floating_point() else v for k, v in states[0].items()
    }


HINT_BRANCH = "hint_branch"  # the architecture in the metadata of a branch


def save_hint_branch(branch: HintBranch, path: Path, generator_sha256: str, dtype: torch.dtype | None = None) -> None:
    "As `save_weights`, of the branch for the generator whose file has this hash."
    config = {"architecture": HINT_BRANCH, "generator_sha256": generator_sha256} | branch.config
    save_weights(branch, path, config=config, dtype=dtype)


def load_hint_branch(name_or_path: str | Path = "lite", device: str | torch.device = "cpu") -> HintBranch | None:
    """The branch for hints of a generator's weights, in eval mode; None where there is none beside them.

    Raises:
        BadWeights: damaged, of another architecture, or trained for other weights than these.
    """
    generator = find_weights(name_or_path)
    path = hint_branch_file(generator)
    if not path.is_file():
        return None
    config, state = read_safetensors(path)
    trained_for = config.pop("generator_sha256", None)
    if config.pop("architecture", None) != HINT_BRANCH:
        raise BadWeights(f"{path}: holds no branch for hints")
    if trained_for != sha256(generator):
        raise BadWeights(
            f"{path}: trained for other weights than {generator} holds; train it again "
            f"(nogan --preset hints --init-from {generator}), or delete it: hints work without it, too"
        )
    try:
        branch = HintBranch(**config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadWeights(f"{path}: not a branch for hints that this version knows: {config}") from error
    load_strictly(branch, state, path)
    return branch.to(device).eval()


def _read_deoldify(path: Path) -> tuple[dict, dict[str, Tensor]]:
    "Architecture and plain state dict of a checkpoint in DeOldify's layout, flat or under 'model'."
    with path.open("rb") as file:
        head = file.read(512)
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise BadWeights(f"{path}: a web page, not weights: the download link answered with HTML; fetch it again")
    if not head.startswith((b"PK", b"\x80")):  # PyTorch's archives, new and old
        raise BadWeights(f"{path}: not a PyTorch file; fetch it again")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadWeights(f"{path}: not plain weights: it holds code or objects, which are never executed") from error
    except Exception as error:  # whatever the bytes of a damaged file lead the reader to
        raise BadWeights(f"{path}: damaged or truncated; fetch it again") from error
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadWeights(f"{path}: a PyTorch file without a state dict in it")
    middle = state.get("layers.3.0.0.weight_orig")
    architecture = {512: "deep", 2048: "wide"}.get(middle.shape[1] if middle is not None and middle.dim() == 4 else 0)
    if architecture is None:
        raise BadWeights(f"{path}: weights of another network: not a generator of DeOldify (artistic, stable, video)")
    return {"architecture": architecture}, _plain_deoldify(state)


def _plain_deoldify(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    "Fold spectral and weight norm into the weights as the original's eval mode applies them; use this package's names."
    plain = {}
    for key, value in state.items():
        stem, name = key.rsplit(".", 1)
        if name == "weight_orig":
            u, v = state.get(f"{stem}.weight_u"), state.get(f"{stem}.weight_v")
            if u is None or v is None or u.shape != value.shape[:1] or v.numel() * len(u) != value.numel():
                continue  # the missing weight is reported by name when the network loads
            plain[f"{stem}.weight"] = value / (u @ (value.flatten(1) @ v))
        elif name == "weight_g":
            direction = state.get(f"{stem}.weight_v", value)
            norm = direction.flatten(1).norm(dim=1).reshape(value.shape)
            plain[f"{stem}.weight"] = direction * (value / norm)
        elif name not in ("weight_u", "weight_v"):
            plain[key] = value
    return {_renamed(key): value for key, value in plain.items()}


# DeOldify's names and this package's, where they differ.
RENAMED = (
    (r"^(layers\.\d+\.shuf)\.conv\.", r"\1.0."),
    (r"^(layers\.[4-7])\.conv\.", r"\1.conv1."),
    (r"^layers\.8\.conv\.0\.", "layers.8.0.0."),
    (r"^layers\.11\.0\.", "layers.11."),
)


def _renamed(key: str) -> str:
    for theirs, ours in RENAMED:
        key = re.sub(theirs, ours, key)
    return key
