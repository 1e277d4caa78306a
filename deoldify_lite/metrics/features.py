"""Pretrained feature networks for distances between sets of images.

`inception` is the network of FID, KID and Inception Score. Any other network gives a Frechet and a kernel distance of
its own, which must not be called FID or KID.
"""

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import color
from ..modeling.pretrained import load_embedding, load_features, load_inception

INCEPTION = "inception"
INCEPTION_FEATURES = 2048  # `inception` returns so many pooled features, then 1008 logits


class Vgg16Features(nn.Module):
    "VGG16's last convolution's ReLU averaged over positions: (N, 3, H, W), ImageNet statistics -> (N, 512)."

    def __init__(self):
        super().__init__()
        self.network = load_features("vgg16")[:30].to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))


class InceptionFeatures(nn.Module):
    """FID's Inception v3, by torchmetrics: RGB in [0, 1] -> (N, 2048 + 1008), pooled features and logits.

    torchmetrics resizes to 299 x 299, bilinear and antialiased. The logits are without bias, as for Inception Score.
    """

    def __init__(self):
        super().__init__()
        self.network = load_inception()

    def forward(self, rgb: Tensor) -> Tensor:
        return torch.cat(self.network._torch_fidelity_forward((rgb * 255).round().byte()), 1)


@dataclass(frozen=True)
class FeatureNetwork:
    """A network with its preprocessing: images (N, 3, H, W), RGB in [0, 1] -> features (N, C).

    about: the network in words, for reports.
    size: images are resized to this square first (bilinear, antialiased); None keeps their size.
    """

    name: str
    network: nn.Module
    about: str
    size: int | None = None
    mean: tuple[float, ...] = color.IMAGENET_MEAN
    std: tuple[float, ...] = color.IMAGENET_STD

    @torch.inference_mode()
    def __call__(self, rgb: Tensor) -> Tensor:
        if self.size and rgb.shape[-2:] != (self.size, self.size):
            rgb = F.interpolate(rgb, (self.size, self.size), mode="bilinear", antialias=True)
        return self.network(color.normalize(rgb, self.mean, self.std))


def open_network(name: str) -> FeatureNetwork:
    """The feature network of this name: `vgg16`, `inception`, or one of timm's.

    Raises:
        UsageError: no such network.
        WeightsUnavailable, BadWeights: its weights cannot be fetched, or are damaged.
    """
    if name == "vgg16":
        about = "torchvision's VGG16: the last convolution's ReLU averaged over positions, 512 features"
        return FeatureNetwork(name, Vgg16Features(), about)
    if name == INCEPTION:
        about = "Inception v3 of FID (torch-fidelity's port of 2015-12-05), by torchmetrics, at 299 x 299 antialiased"
        return FeatureNetwork(name, InceptionFeatures(), about, mean=(0.0,) * 3, std=(1.0,) * 3)
    network, size, mean, std = load_embedding(name)
    about = f"timm's {name} without its classifier: {network.num_features} pooled features"
    return FeatureNetwork(name, network, about, size, mean, std)


def weights_hash(network: nn.Module) -> str:
    "SHA-256 of a network's weights in memory, whichever file they came from."
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
