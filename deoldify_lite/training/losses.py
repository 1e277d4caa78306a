"""What the generator and the critic are trained on."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import color
from ..errors import UsageError
from ..metrics.image import colorfulness
from ..modeling.pretrained import load_features
from ..schedule import Loss
from .precision import LossInPrecision
from .rebalancing import bin_weights, color_bins
from .run import Run

# The last activation before each pool.
TAPS = {"vgg16": (3, 8, 15, 22, 29), "vgg16_bn": (5, 12, 22, 32, 42), "untrained": (1, 3, 5)}


def check_features(loss: Loss) -> None:
    """Before training, since stages with pixels alone do not look at them.

    Raises:
        UsageError: no such feature network, or it has fewer activations than `loss.features`.
    """
    if loss.network not in TAPS:
        raise UsageError(f"feature network {loss.network!r} is unknown; choose {', '.join(TAPS)}")
    if (count := len(loss.features)) > (most := len(TAPS[loss.network])):
        raise UsageError(f"loss.features has {count} weights; {loss.network} has {most} activations")


def feature_network(name: str) -> nn.Sequential:
    """The network whose activations are compared. `untrained` is three small random convolutions.

    Raises:
        WeightsUnavailable: its pretrained weights cannot be had here.
    """
    if name != "untrained":
        return load_features(name)[: TAPS[name][-1] + 1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [layer for i, o in ((3, 8), (8, 16), (16, 16)) for layer in (nn.Conv2d(i, o, 3, 2, 1), nn.ReLU())]
    return nn.Sequential(*layers).eval().requires_grad_(False)


class FeatureLoss(nn.Module):
    """L1 on pixels and on activations of a pretrained network (Johnson et al. 2016, arXiv:1603.08155).

    `loss.features` has a weight for each of the last activations before a pool. With `loss.normalized` these are
    divided by their norm over the channels, and the squared differences summed over these, as LPIPS does but for its
    learned weights (Zhang et al. 2018, arXiv:1801.03924): flat walls and skies, whose activations are small, count
    like texture.

    Both pictures are (N, 3, H, W) of ImageNet statistics. `scale` multiplies the feature terms. `window` in (0, 1] is
    the part of the side on which features are compared while training, at a place drawn anew each time from torch's
    own generator: VGG costs several times what a light generator does. Without gradients all is compared.
    `bin_weights` is what a pixel of each colour weighs, from `rebalancing.bin_weights`. `parts` keeps each term's last
    value.
    """

    def __init__(
        self,
        loss: Loss,
        scale: float = 1.0,
        window: float = 1.0,
        bin_weights: Tensor | None = None,
    ):
        super().__init__()
        self.loss, self.window, self.bin_weights = loss, window, bin_weights
        self.weights = [scale * weight for weight in loss.features]
        if any(self.weights):  # else nobody needs its pretrained weights
            check_features(loss)
            self.network = feature_network(loss.network).to(memory_format=torch.channels_last)
            taps, count = TAPS[loss.network], len(loss.features)
            self.taps = taps[len(taps) - count :]
        self.parts: dict[str, Tensor] = {}

    def activations(self, x: Tensor) -> list[Tensor]:
        taken = []
        for i, layer in enumerate(self.network):
            x = layer(x)
            if i in self.taps:
                taken.append(x)
        return taken

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        parts = {"pixel": self.loss.pixel * self._pixel(predicted, target)}
        if self.loss.total_variation:
            cbcr = color.chroma(color.denormalize(predicted.float()))
            parts["total_variation"] = self.loss.total_variation * sum(
                cbcr.diff(dim=side).abs().mean() for side in (-2, -1)
            )
        if self.loss.colorfulness:
            ours, theirs = (colorfulness(color.denormalize(p.float())) / 255 for p in (predicted, target))
            parts["colorfulness"] = self.loss.colorfulness * (ours - theirs).abs().mean()
        if any(self.weights):
            predicted, target = self._part(predicted, target)
            with torch.no_grad():
                wanted = self.activations(self._saturated(target))
            first = 6 - len(self.weights)  # the last one is before pool 5
            for i, (ours, theirs, weight) in enumerate(zip(self.activations(predicted), wanted, self.weights), first):
                parts[f"feature_{i}"] = weight * self._difference(ours.float(), theirs.float())
        self.parts = {k: v.detach() for k, v in parts.items()}
        return sum(parts.values())

    def _difference(self, ours: Tensor, theirs: Tensor) -> Tensor:
        "Of activations (N, C, H, W)."
        if not self.loss.normalized:
            return F.l1_loss(ours, theirs)
        return (F.normalize(ours) - F.normalize(theirs)).square().sum(1).mean()

    def _saturated(self, target: Tensor) -> Tensor:
        if self.loss.saturation == 1:
            return target
        rgb = color.denormalize(target)
        return color.normalize(color.merge(color.luma(rgb), self.loss.saturation * color.chroma(rgb)).clamp(0, 1))

    def _part(self, *pictures: Tensor) -> list[Tensor]:
        "The same random part of each picture, `window` of the side."
        if self.window == 1 or not torch.is_grad_enabled():
            return list(pictures)
        sides = [round(self.window * side) for side in pictures[0].shape[-2:]]
        top, left = (int(torch.randint(whole - s + 1, ())) for whole, s in zip(pictures[0].shape[-2:], sides))
        return [p[..., top : top + sides[0], left : left + sides[1]] for p in pictures]

    def _pixel(self, predicted: Tensor, target: Tensor) -> Tensor:
        difference = (predicted.float() - target.float()).abs()
        if self.loss.smooth_l1:
            beta = self.loss.smooth_l1
            difference = torch.where(difference < beta, difference.square() / (2 * beta), difference - beta / 2)
        if not self.loss.chroma_weight and self.bin_weights is None:
            return difference.mean()
        # Most pixels are nearly grey, and so is their median: colourful ones count for more, on average one.
        cbcr = color.chroma(color.denormalize(target))
        weight = 1 + self.loss.chroma_weight * cbcr.norm(dim=1, keepdim=True) / 0.1
        if self.bin_weights is not None:
            weight = weight * (1 + self.loss.rebalancing * (self.bin_weights.flatten()[color_bins(cbcr)] - 1)[:, None])
        return (difference * weight / weight.mean()).mean()


DAMAGE_WEIGHT = 3.0  # of a damaged pixel in the cross-entropy: few pixels are


class RestorationLoss(FeatureLoss):
    """The feature loss of a restored picture, the loss of the mask, and that of what lies under it.

    Predictions are those of `RestorationPredictor`, targets those of `restoration_pair`, both normalised. The mask's is
    cross-entropy and one minus Dice's coefficient (Milletari et al. 2016, arXiv:1606.04797), since damage is rare; the
    fill's is L1 where there is damage, and up to two pixels beside it, where a mask may well reach.
    """

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        loss = super().forward(predicted[:, :3], target[:, :3])
        fill, logit, mask = predicted[:, 3:4], predicted[:, 4:5], target[:, 3:4]
        luma = color.luma(color.denormalize(target[:, :3]))
        chance = torch.sigmoid(logit)
        dice = (2 * (chance * mask).sum() + 1) / (chance.sum() + mask.sum() + 1)
        entropy = F.binary_cross_entropy_with_logits(logit, mask, pos_weight=mask.new_tensor(DAMAGE_WEIGHT))
        weight = F.max_pool2d(mask, 5, 1, 2) + 0.02
        parts = {
            "mask": self.loss.mask * (entropy + 0.25 * (1 - dice)),
            "fill": self.loss.fill * ((fill - luma).abs() * weight).sum() / weight.sum(),
        }
        self.parts |= {k: v.detach() for k, v in parts.items()}
        return loss + sum(parts.values())


def feature_loss(
    run: Run, size: int, scale: float = 1.0, window: float = 1.0, chroma_weight: float = 1.0
) -> LossInPrecision:
    """The schedule's feature loss for crops of `size`, on the run's device and in its precision.

    `scale` and `window` as in `FeatureLoss`; `chroma_weight` is a factor on that of the schedule.
    """
    loss = replace(run.schedule.loss, chroma_weight=chroma_weight * run.schedule.loss.chroma_weight)
    weights = bin_weights(run, size) if loss.rebalancing else None
    kind = RestorationLoss if run.schedule.restores else FeatureLoss
    return LossInPrecision(kind(loss, scale, window, weights).to(run.device), run.precision)


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    "Binary cross-entropy of the critic's logits (N, P): real photos are 1, generated ones 0, both count a half."
    bce = F.binary_cross_entropy_with_logits
    return (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))) / 2


def adversarial_loss(fake: Tensor) -> Tensor:
    "Binary cross-entropy of the critic's logits (N, P) for generated pictures that ought to pass as real."
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def hinge_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    "Hinge loss of the critic's logits (N, P): 0 where it is sure, 2 where it knows nothing (arXiv:1705.02894)."
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_adversarial_loss(fake: Tensor) -> Tensor:
    "How far the critic's logits (N, P) for generated pictures are from passing as real."
    return -fake.mean()


# Of each kind of critic: its own loss, and the generator's.
GAN_LOSSES = {"patch": (critic_loss, adversarial_loss), "projected": (hinge_critic_loss, hinge_adversarial_loss)}
