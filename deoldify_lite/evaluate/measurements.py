"""What is measured on each image: values such as PSNR, and the features behind distances between sets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..metrics.features import open_network, weights_hash
from ..metrics.image import Lpips, ab_histogram, colorfulness, psnr, ssim
from ..modeling.pretrained import WeightsUnavailable
from ..modeling.winograd import use_winograd


@dataclass(frozen=True)
class Measurement:
    """compute(images, targets): predictions and ground truth, both RGB (N, 3, S, S) in [0, 1] -> (N,) or (N, C).

    about: the network behind it and the hash of its weights, as in the JSON.
    """

    name: str
    compute: Callable[[Tensor, Tensor], Tensor]
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.name}:{self.about.get('network_sha256', '')}"


def open_measurements(networks: Iterable[str], device: torch.device) -> tuple[list[Measurement], dict[str, str]]:
    """All measurements that are available here, and by name the reason why others are not.

    Raises:
        UsageError: one of the feature networks `networks` does not exist.
        BadWeights: weights that are here are damaged.
    """
    measurements = [
        Measurement("psnr", psnr),
        Measurement("ssim", ssim),
        Measurement("ab", lambda images, targets: ab_histogram(images)),
        Measurement("colorfulness", lambda images, targets: colorfulness(images)),
        Measurement("colorfulness_abs", lambda images, targets: colorfulness(images, absolute=True)),
    ]
    missing = {}
    try:
        lpips = Lpips().to(device)
        measurements.append(Measurement("lpips_alex", lpips, _about("LPIPS 0.1 on torchvision's AlexNet", lpips)))
    except WeightsUnavailable as error:
        missing["lpips_alex"] = str(error)
    for name in networks:
        try:
            network = open_network(name)
        except WeightsUnavailable as error:
            missing[name] = str(error)
            continue
        about = _about(network.about, network.network.to(device))
        if device.type == "cpu":  # where nearly all of the time goes into VGG16's convolutions
            use_winograd(network.network)
        measurements.append(Measurement(name, lambda images, targets, network=network: network(images), about))
    return measurements, missing


def _about(network: str, module: torch.nn.Module) -> dict[str, str]:
    return {"network": network, "network_sha256": weights_hash(module)}
