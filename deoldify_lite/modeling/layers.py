"""The pieces that every network here is made of."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from ..errors import UsageError
from .backbones import SameConv


class SpectralNorm(nn.Module):
    """Parametrisation that divides a weight by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).

    One step of power iteration for each forward pass in training mode; none in eval mode. Only the left vector is
    kept, the right one follows from it. Runs in float32 also under autocast, where a rounded norm would drift.
    """

    def __init__(self, weight: Tensor, warm_up: int = 15):
        super().__init__()
        self.register_buffer("u", F.normalize(torch.randn(weight.shape[0]), dim=0))
        with torch.no_grad():
            for _ in range(warm_up):
                self.u.copy_(self._vectors(weight.flatten(1))[0])

    def _vectors(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        v = F.normalize(matrix.T @ self.u, dim=0)
        return F.normalize(matrix @ v, dim=0), v

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            with torch.no_grad():
                u, v = self._vectors(matrix)
                if self.training:
                    self.u.copy_(u)
            return weight / (u @ (matrix @ v))


def add_spectral_norm(module: nn.Module) -> nn.Module:
    "Put spectral norm on every convolution below `module`, in place."
    for child in list(module.modules()):
        if isinstance(child, (nn.Conv1d, nn.Conv2d)) and not parametrize.is_parametrized(child):
            parametrize.register_parametrization(child, "weight", SpectralNorm(child.weight))
    return module


def replicate_borders(module: nn.Module) -> nn.Module:
    """Have every convolution below `module`, in place, repeat the pixels of the border instead of padding with zeros.

    Zeros tell a network where the border is, and it learns to predict by place (Islam et al. 2020, arXiv:2001.08248).

    Raises:
        UsageError: one of them pads by itself, with zeros, as those of timm's TensorFlow networks do.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and max(child.kernel_size) > 1:
            if not isinstance(child, SameConv) and type(child).forward is not nn.Conv2d.forward:
                raise UsageError(
                    f"padding=replicate does not work with timm's {type(child).__name__}, which always pads with "
                    "zeros; choose a ResNet, an EfficientNet-Lite or another encoder, or padding=zeros"
                )
            child.padding_mode = "replicate"
    return module


def freeze_statistics(module: nn.Module) -> None:
    "Let every BatchNorm below `module` go by the means and variances that it has, until `train()` is called again."
    for child in module.modules():
        if isinstance(child, _BatchNorm):
            child.eval()


def without_spectral_norm(module: nn.Module) -> nn.Module:
    "A copy of `module` in eval mode with spectral norm folded into the weights of every convolution below it."
    copy = deepcopy(module).eval()
    for child in copy.modules():
        if parametrize.is_parametrized(child, "weight"):
            # `remove_parametrizations` would take the weight from the class, which the original still has.
            weight, trains = child.weight.detach(), child.parametrizations.weight.original.requires_grad
            child.__class__ = parametrize.type_before_parametrizations(child)
            del child.parametrizations
            child.weight = nn.Parameter(weight, trains)
    return copy


def plain_state(module: nn.Module) -> dict[str, Tensor]:
    """The state dict `module` would have without parametrisations: normalised weights under their plain names.

    This is what an eval-mode forward pass computes with, so a network without spectral norm that loads it gives the
    same output. Nothing in `module` changes.
    """
    state = {k: v.detach() for k, v in module.state_dict().items() if ".parametrizations." not in f".{k}"}
    for name, child in module.named_modules():
        if parametrize.is_parametrized(child, "weight"):
            norm = child.parametrizations.weight[0]
            was_training = norm.training
            norm.eval()
            with torch.no_grad():
                state[f"{name}.weight"] = child.weight.detach()
            norm.train(was_training)
    return state


ROWS_AT_ONCE = 512


def attend_by_rows(network: nn.Module) -> nn.Module:
    """Have, in place, the self-attention below `network` compare some places with all others at a time, by plain matrix
    products: on a CPU in float32 quicker than torch's own way, which wants keys as wide as values. For use and not for
    training, which would keep each part. Returns the network."""
    for module in network.modules():
        if isinstance(module, SelfAttention):
            module.rows_at_once = ROWS_AT_ONCE
    return network


class SelfAttention(nn.Module):
    """Every position looks at every other (SAGAN, Zhang et al. 2018, arXiv:1805.08318); starts as the identity.

    As in fastai and DeOldify the softmax runs over the positions that `query` speaks for, so `query` plays the part
    that is elsewhere called key. The whole (HW, HW) matrix is never held.

    `rows_at_once` is how many places look at all others at a time; None leaves that to torch.
    """

    rows_at_once: int | None = None

    def __init__(self, channels: int):
        super().__init__()
        self.query = nn.Conv1d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv1d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv1d(channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(2).transpose(1, 2)  # (N, HW, C), which in channels_last is how they lie in memory
        query, key, value = (F.linear(places, conv.weight.squeeze(2)) for conv in (self.query, self.key, self.value))
        if self.rows_at_once:
            parts = (torch.softmax(part @ query.mT, 2) @ value for part in key.split(self.rows_at_once, 1))
            return x + self.gamma * torch.cat(list(parts), 1).transpose(1, 2).reshape(x.shape)
        # torch takes its kernels that work block by block only where all three have a head and the same width.
        query, key = (F.pad(part, (0, value.shape[2] - part.shape[2])) for part in (query, key))
        seen = F.scaled_dot_product_attention(key[:, None], query[:, None], value[:, None], scale=1.0)[:, 0]
        return x + self.gamma * seen.transpose(1, 2).reshape(x.shape)


def conv_layer(inputs: int, outputs: int, size: int = 3, *, bn_first: bool = True) -> nn.Sequential:
    "Convolution, BatchNorm and ReLU; DeOldify has the BatchNorm behind the ReLU (`bn_first=False`)."
    rest = [nn.BatchNorm2d(outputs), nn.ReLU()]
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(conv, *(rest if bn_first else rest[::-1]))


def _icnr_(weight: Tensor) -> None:
    "Start sub-pixel convolution as nearest-neighbour upsampling (Aitken et al. 2017, arXiv:1707.02937)."
    if weight.is_meta:  # about to be loaded from a file
        return
    kernel = nn.init.kaiming_normal_(torch.empty(weight.shape[0] // 4, *weight.shape[1:]))
    with torch.no_grad():
        weight.copy_(kernel.repeat_interleave(4, 0))


# Sides that a map is padded on before its 2x2 mean: left, right, top, bottom.
BLURS = {"top_left": (1, 0, 1, 0), "bottom_right": (0, 1, 0, 1)}


class PixelShuffle(nn.Sequential):
    """Sub-pixel upsampling by two, (N, inputs, H, W) -> (N, outputs, 2H, 2W).

    `blur` takes the checkerboard out by a mean over 2x2 pixels, which moves the content half a pixel to the bottom
    right where the padding is on the `top_left`, as in DeOldify, and half a pixel to the top left where it is on the
    `bottom_right`; "" is no blur.
    """

    def __init__(self, inputs: int, outputs: int, *, blur: str = "", conv: nn.Module | None = None):
        layers = [conv or conv_layer(inputs, outputs * 4, 1), nn.PixelShuffle(2)]
        if blur:
            layers += [nn.ReplicationPad2d(BLURS[blur]), nn.AvgPool2d(2, stride=1)]
        super().__init__(*layers)
        _icnr_(self[0][0].weight)


def fit_size(x: Tensor, like: Tensor, mode: str) -> Tensor:
    "`x` in the height and width of `like`: up to a pixel off where a side was not a multiple of the stride."
    # An exported graph is for every size, so there it must not depend on the one that it was traced with.
    if torch.compiler.is_exporting() or x.shape[-2:] != like.shape[-2:]:
        return F.interpolate(x, like.shape[-2:], mode=mode)
    return x


class UnetBlock(nn.Module):
    "Upsample the coarse features to `up` channels, join them with the encoder's of that size, convolve once or twice."

    def __init__(
        self,
        coarse: int,
        up: int,
        skip: int,
        width: int,
        *,
        convs: int = 2,
        bn_first: bool = True,
        attention: bool = False,
        blur: str = "top_left",
    ):
        super().__init__()
        self.shuf = PixelShuffle(coarse, up, blur=blur)
        self.bn = nn.BatchNorm2d(skip)
        self.conv1 = conv_layer(up + skip, width, bn_first=bn_first)
        self.conv2 = conv_layer(width, width, bn_first=bn_first) if convs == 2 else nn.Sequential()
        if attention:
            (self.conv2 if convs == 2 else self.conv1).append(SelfAttention(width))

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        up = fit_size(self.shuf(coarse), skip, "nearest")
        return self.conv2(self.conv1(F.relu(torch.cat([up, self.bn(skip)], 1))))
