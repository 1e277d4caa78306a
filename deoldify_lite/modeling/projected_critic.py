"""A critic that looks at pretrained features (Projected GANs, Sauer et al. 2021, arXiv:2111.01007).

NoGAN pretrains its critic so that it knows something before it teaches. This one knows what ImageNet taught a small
network, so some hundred steps of pretraining suffice.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoders import build_encoder
from .layers import add_spectral_norm


class ProjectedCritic(nn.Module):
    """Scores a picture at four scales: (N, 3, S, S), normalised RGB -> logits (N, P), positive for real.

    The backbone's features at strides 4, 8, 16 and 32 are mixed across channels by fixed random 1x1 convolutions and
    across scales by a top-down path of fixed random 3x3 convolutions, and divided by their root mean square. On each
    scale a small head with spectral norm gives a logit for every 32x32 pixels, so P is 4 (S / 32) squared. Only the
    heads are trained. The backbone starts untrained: `pretrained.load_pretrained_encoder(critic.backbone, name)` gives
    it ImageNet weights.
    """

    def __init__(self, backbone: str = "tf_efficientnet_lite0", width: int = 64):
        super().__init__()
        self.config = {"architecture": "projected", "backbone": backbone, "width": width}
        self.backbone = build_encoder(backbone)
        channels = [count for count, stride in self.backbone.feature_maps if stride >= 4]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the projection is part of the architecture
            self.mix = nn.ModuleList(nn.Conv2d(count, width, 1, bias=False) for count in channels)
            self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in channels)
        for fixed in (self.backbone, self.mix, self.smooth):
            fixed.requires_grad_(False)
        downsamplings = range(len(channels) - 1, -1, -1)  # of each scale, to the coarsest one
        self.heads = nn.ModuleList(_head(width, count) for count in downsamplings)
        add_spectral_norm(self.heads)
        self.scales = len(self.heads)

    def train(self, mode: bool = True) -> "ProjectedCritic":
        "The heads only: the backbone's BatchNorm keeps its statistics."
        super().train(mode)
        self.backbone.eval()
        return self

    def projected(self, x: Tensor) -> list[Tensor]:
        "What the heads see of normalised RGB (N, 3, S, S): (N, width, S / stride, S / stride), finest first."
        features = self.backbone(x)[-len(self.mix) :]
        above, scales = None, []
        for feature, mix, smooth in reversed(list(zip(features, self.mix, self.smooth))):
            h = mix(feature)
            if above is not None:
                h = h + F.interpolate(above, h.shape[-2:], mode="bilinear")
            above = smooth(h)
            above = above / above.float().square().mean((1, 2, 3), keepdim=True).add(1e-8).sqrt().to(above.dtype)
            scales.append(above)
        return scales[::-1]

    def forward(self, x: Tensor) -> Tensor:
        logits = [head(scale).flatten(1) for head, scale in zip(self.heads, self.projected(x))]
        return torch.cat(logits, 1).float()


def _head(width: int, downsamplings: int) -> nn.Sequential:
    layers = []
    for _ in range(downsamplings):
        layers += [nn.Conv2d(width, width, 4, 2, padding=1), nn.LeakyReLU(0.2)]
    layers += [nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 1)]
    return nn.Sequential(*layers)
