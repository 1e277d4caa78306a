"""Pretrained networks of others: where their weights come from.

Looked for in this order: a file that was named; `<name>.safetensors` in `weights_folder()` (for machines that are
offline); the caches and servers of torchvision and timm.
"""

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import Unavailable, UsageError
from ..models import weights_folder
from .encoders import ResNetEncoder
from .weights import BadWeights, load_strictly


class WeightsUnavailable(Unavailable, RuntimeError):
    "Pretrained weights that are neither here nor to be fetched. The message says what to do."


def _state(
    name: str, fetch: Callable[[], dict[str, Tensor]], file: Path | None = None
) -> tuple[dict[str, Tensor], Path]:
    "State dict of the network `name` and where it came from."
    local = file or weights_folder() / f"{name}.safetensors"
    if local.is_file():
        try:
            return load_file(local), local
        except Exception as error:
            raise BadWeights(f"{local}: not a safetensors file, or a truncated one ({error})") from error
    if file:
        raise WeightsUnavailable(f"{file}: no such weights file")
    try:
        return fetch(), Path(name)
    except Exception as error:  # every library has its own way to fail without a network
        raise WeightsUnavailable(
            f"the pretrained weights of {name} are not on this machine and could not be fetched; put them at {local}"
        ) from error


def _torchvision(name: str) -> dict[str, Tensor]:
    from torchvision import models

    return models.get_model_weights(name).DEFAULT.get_state_dict(progress=True, check_hash=True)


def load_pretrained_encoder(encoder: nn.Module, name: str, file: Path | None = None) -> None:
    """Give an encoder of `build_encoder(name)` its ImageNet weights.

    Raises:
        WeightsUnavailable: offline, and not in any cache; the message names the remedies.
        BadWeights: `file` holds another network.
    """
    if isinstance(encoder, ResNetEncoder):
        state, source = _state(name, lambda: _torchvision(name), file)
        stems = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
        numbered = {stem: str(i) for i, stem in enumerate(stems)}
        parts = {k: k.partition(".") for k in state if not k.startswith("fc.")}
        state = {f"{numbered.get(stem, stem)}.{rest}": state[k] for k, (stem, _, rest) in parts.items()}
        load_strictly(encoder, state, source)
        return

    def fetch() -> dict[str, Tensor]:
        import timm

        return timm.create_model(name, pretrained=True, features_only=True).state_dict()

    state, source = _state(name, fetch, file)
    wanted = encoder.model.state_dict()
    # A classifier's file holds a head as well; what the encoder needs must be there in full.
    load_strictly(encoder.model, {k: v for k, v in state.items() if k in wanted}, source)


def load_features(name: str) -> nn.Sequential:
    """The convolutions of torchvision's `vgg16`, `vgg16_bn` or `alexnet` with ImageNet weights, frozen, in eval mode.

    Raises:
        WeightsUnavailable, BadWeights: as `load_pretrained_encoder`.
    """
    from torchvision import models

    network = models.get_model(name, weights=None).features
    state, source = _state(f"{name}_features", lambda: _torchvision(name))
    load_strictly(
        network, {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}, source
    )
    for layer in network.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # in place, it would overwrite the activation that was just taken
    return network.eval().requires_grad_(False)


def load_embedding(name: str) -> tuple[nn.Module, int, tuple[float, ...], tuple[float, ...]]:
    """timm's network `name` without its classifier, frozen, in eval mode: (N, 3, size, size) -> pooled (N, C).

    Returns the network, the size of its input, and the mean and standard deviation that its input should have.

    Raises:
        ValueError: timm has no such network.
        WeightsUnavailable, BadWeights: as `load_pretrained_encoder`.
    """
    import timm

    if not timm.is_model(name):
        raise UsageError(f"network {name!r}: timm has none of that name")
    network = timm.create_model(name, num_classes=0)
    state, source = _state(name, lambda: timm.create_model(name, pretrained=True, num_classes=0).state_dict())
    wanted = network.state_dict()
    load_strictly(network, {k: v for k, v in state.items() if k in wanted}, source)
    about = network.pretrained_cfg
    return network.eval().requires_grad_(False), about["input_size"][-1], tuple(about["mean"]), tuple(about["std"])


def load_inception() -> nn.Module:
    """torchmetrics' Inception v3 for FID, with the weights that torch-fidelity took over from TensorFlow.

    Raises:
        WeightsUnavailable: torch-fidelity is not installed, or offline and not in any cache.
        BadWeights: the file in `weights_folder()` is damaged or holds another network.
    """
    import io

    import torch
    from torchmetrics.image.fid import NoTrainInceptionV3

    try:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
    except ImportError as error:
        raise WeightsUnavailable(
            "torch-fidelity, which has FID's Inception network, is not installed: pip install torch-fidelity"
        ) from error

    def fetch() -> dict[str, Tensor]:
        return torch.hub.load_state_dict_from_url(URL_INCEPTION_V3, map_location="cpu", weights_only=True)

    state, source = _state("inception_fid", fetch)
    # The class wants a file, which it would read as a pickle; it gets one of our own making.
    safe = io.BytesIO()
    torch.save({k: v.float() if v.is_floating_point() else v for k, v in state.items()}, safe)
    safe.seek(0)
    try:
        return NoTrainInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], safe)
    except RuntimeError as error:
        raise BadWeights(f"{source}: weights of another network than FID's Inception") from error
