"""Metrics of single images: how colorful they are, and how close to the ground truth.

Images are RGB (N, 3, H, W) in [0, 1]; every function returns one value, or one histogram, per image.
"""

import torch
from torch import Tensor, nn

from .. import color
from ..modeling.pretrained import load_features


def colorfulness(rgb: Tensor, absolute: bool = False) -> Tensor:
    """Colourfulness (N,): about 0 for gray, 30 ordinary, 60 very colourful (Hasler and Suesstrunk 2003).

    `absolute` takes absolute values of the two opponent channels first. That is not in the paper but in the code behind
    most published tables (DDColor's basicsr/metrics/colorfulness.py, for one); its values differ.
    """
    red, green, blue = (rgb * 255).unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue]).flatten(2)
    if absolute:
        opponents = opponents.abs()
    return opponents.std(2, correction=0).norm(dim=0) + 0.3 * opponents.mean(2).norm(dim=0)


AB_STEP, AB_LIMIT = 10, 110  # the grid of Zhang et al. 2016 (arXiv:1603.08511), which covers all of sRGB


def ab_histogram(rgb: Tensor) -> Tensor:
    """Fraction of an image's pixels in each bin of CIE a and b, whatever their lightness: (N, 529), summing to 1.

    Bins are 10 wide and centred on multiples of 10; the middle bin is gray.
    """
    half = AB_LIMIT // AB_STEP
    a, b = ((color.rgb_to_lab(rgb)[:, 1:] / AB_STEP).round().clamp(-half, half).long() + half).flatten(2).unbind(1)
    side = 2 * half + 1
    counts = torch.zeros(len(rgb), side**2, device=rgb.device)
    counts.scatter_add_(1, a * side + b, torch.ones_like(a, dtype=counts.dtype))
    return counts / a.shape[1]


def histogram_distance(a: Tensor, b: Tensor) -> Tensor:
    """Fraction of the pixels that would have to change bin, (N,): 0 for equal histograms (N, C), 1 for disjoint ones.

    That is 1 minus the histogram intersection (Swain and Ballard 1991, "Color Indexing"), which in CIE Lab agrees with
    human judgement of similarity (Lee, Xin and Westland 2005, "Evaluation of image similarity by histogram
    intersection").
    """
    return (a - b).abs().sum(1) / 2


def psnr(a: Tensor, b: Tensor) -> Tensor:
    "Peak signal-to-noise ratio in dB over all three channels, (N,); infinite for equal images."
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return peak_signal_noise_ratio(a, b, data_range=1.0, reduction="none", dim=(1, 2, 3))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    "Structural similarity (Wang et al. 2004), mean over RGB, (N,): Gaussian window of 11 pixels, sigma 1.5."
    from torchmetrics.functional.image import structural_similarity_index_measure

    return structural_similarity_index_measure(a, b, data_range=1.0, reduction="none").reshape(-1)


class Lpips(nn.Module):
    """LPIPS with AlexNet, version 0.1 (Zhang et al. 2018, arXiv:1801.03924): two batches of images -> (N,).

    torchmetrics brings the learned weights of the five layers; AlexNet is loaded like other pretrained networks.

    Raises:
        WeightsUnavailable, BadWeights: as `load_features`.
    """

    def __init__(self):
        super().__init__()
        from torchmetrics.functional.image.lpips import _LPIPS

        metric = _LPIPS(pretrained=True, net="alex", pnet_rand=True)  # random backbone: nothing is downloaded
        for source, target in zip(load_features("alexnet"), _backbone_layers(metric.net)):
            target.load_state_dict(source.state_dict())
        self.metric = metric.eval().requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.metric(a, b, normalize=True).flatten()


def _backbone_layers(backbone: nn.Module) -> list[nn.Module]:
    "AlexNet's layers in order, from the five slices that torchmetrics keeps them in."
    return [layer for name in ("slice1", "slice2", "slice3", "slice4", "slice5") for layer in getattr(backbone, name)]
