"""The schedule's generator and critic, ready to train."""

from pathlib import Path

import torch
from torch import Tensor, nn

from .. import color
from ..device import autocast
from ..modeling.critic import Critic
from ..modeling.generator import DEFAULTS, build_generator
from ..modeling.layers import add_spectral_norm
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.projected_critic import ProjectedCritic
from ..modeling.restorer import RestorerUnet
from ..modeling.weights import load_network, load_strictly, read_safetensors
from ..schedule import Networks
from .distillation import load_distilled_encoder
from .precision import keep_depthwise_float32
from .run import Run


class Predictor(nn.Module):
    """A generator as the losses see it: (grayscale input, luma of the target) -> normalised RGB (N, 3, H, W).

    A generator that predicts chroma has it put on the target's own luma, since the colorizer will put it on the
    photo's: whatever the input suffered, only the colours count. One that predicts RGB is trained on all of it.
    """

    def __init__(self, generator: nn.Module, precision: torch.dtype = torch.float32):
        super().__init__()
        self.generator, self.precision = generator, precision

    def forward(self, gray: Tensor, luma: Tensor) -> Tensor:
        with autocast(gray.device, self.precision):
            if self.generator.predicts == "rgb":
                return self.generator(gray)
            cbcr = self.generator.chroma(gray)
        return color.normalize(color.merge(luma, cbcr.float()))

    def predict(self, gray: Tensor, target: Tensor) -> Tensor:
        "The same with the target, RGB in [0, 1], whose luma is taken."
        return self(gray, color.luma(target))


class RestorationPredictor(Predictor):
    """A restorer as the losses see it: (damaged input, anything) -> (N, 5, H, W).

    The restored picture, normalised RGB, three equal channels; the luma that lies under the damage; the logit of the
    mask. In the picture that luma counts as much as the mask is sure.
    """

    def forward(self, damaged: Tensor, _luma: Tensor | None = None) -> Tensor:
        y = color.luma(color.denormalize(damaged))
        with autocast(damaged.device, self.precision):
            logit, fill = self.generator(y)
        restored = torch.lerp(y, fill.float(), torch.sigmoid(logit.float()))
        return torch.cat([color.normalize(restored.expand(-1, 3, -1, -1)), fill.float(), logit.float()], 1)

    def predict(self, damaged: Tensor, target: Tensor) -> Tensor:
        return self(damaged)


def make_predictor(generator: nn.Module, precision: torch.dtype = torch.float32) -> Predictor:
    "A generator of either kind as the losses see it."
    kind = RestorationPredictor if generator.predicts == "restoration" else Predictor
    return kind(generator, precision)


def untrained_generator(networks: Networks) -> nn.Module:
    "The generator that the schedule describes."
    if networks.generator == RestorerUnet.architecture:
        return RestorerUnet(networks.width, networks.encoder)
    options = {name: getattr(networks, name) for name in DEFAULTS}
    return build_generator(networks.generator, networks.encoder, **options)


def trainable_generator(run: Run, weights: Path | None) -> nn.Module:
    """The schedule's generator: spectral norm on the decoder, channels_last, on the device.

    It starts from `weights`, or, with None, from those that the schedule names, or from a pretrained encoder (that of
    the encoder stages, if there are any) and a fresh decoder.
    """
    networks = run.schedule.networks
    weights = weights or run.init_from
    torch.manual_seed(run.schedule.seed)
    generator = untrained_generator(networks)
    if weights is not None:
        load_strictly(generator, load_network(weights).state_dict(), weights)
    elif run.schedule.encoder_stages:
        load_distilled_encoder(run, generator.encoder)
    elif networks.pretrained:
        name = {"deep": "resnet34", "wide": "resnet101"}.get(networks.generator, networks.encoder)
        load_pretrained_encoder(generator.encoder, name, run.encoder_weights)
    for part in generator.spectral:
        add_spectral_norm(part)
    keep_depthwise_float32(generator)
    return generator.to(run.device, memory_format=torch.channels_last)


def parameter_groups(generator: nn.Module) -> list[list[nn.Parameter]]:
    "Three groups for discriminative rates: first and second half of the encoder's weights, decoder."
    encoder = list(generator.encoder.parameters())
    inside = {id(p) for p in encoder}
    total, seen, cut = sum(p.numel() for p in encoder), 0, 0
    while seen + encoder[cut].numel() <= total / 2:
        seen += encoder[cut].numel()
        cut += 1
    return [encoder[:cut], encoder[cut:], [p for p in generator.parameters() if id(p) not in inside]]


def load_critic(run: Run, weights: Path | None) -> nn.Module:
    "The schedule's critic, fresh or from a file; a file keeps the spectral-norm vectors."
    networks = run.schedule.networks
    if networks.critic == "projected":
        critic = ProjectedCritic(networks.critic_backbone, networks.critic_width)
        if weights is None and networks.pretrained:
            load_pretrained_encoder(critic.backbone, networks.critic_backbone)
    else:
        critic = Critic(networks.critic_width)
    if weights is not None:
        load_strictly(critic, read_safetensors(weights)[1], weights)
    return critic.to(run.device, memory_format=torch.channels_last)
