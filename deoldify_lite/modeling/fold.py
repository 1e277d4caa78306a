"""BatchNorm into the convolution before it: the same network with less to do, for using it and not for training it."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

TOLERANCE = 1e-4


def fold(generator: nn.Module, run: Callable[[nn.Module, Tensor], Tensor] = lambda g, x: g.chroma(x)) -> nn.Module:
    """A generator in eval mode in which each BatchNorm that directly follows a convolution is part of it.

    Exact but for rounding; all other weights are shared with the one that it is made of. Where a network turns out to
    use its layers in another order than it lists them, which a trial shows, the generator comes back as it is. `run` is
    how to run it on pictures (N, 3, H, W).
    """
    device = next(generator.parameters()).device
    # The weights themselves need no copies: what is joined gets new ones.
    shared = {id(tensor): tensor for tensor in (*generator.parameters(), *generator.buffers())}
    folded = copy.deepcopy(generator, shared).eval()
    for module in list(folded.modules()):
        _fold_children(module)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.inference_mode():
        difference = (run(folded, x) - run(generator, x)).abs().max()
    return folded if difference <= TOLERANCE else generator


def _fold_children(module: nn.Module) -> None:
    "Join the neighbours among a module's children."
    before = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and _feeds(before, child):
            _join(before, child)
            # timm's BatchNorm brings its activation along.
            rest = [part for part in (getattr(child, "drop", None), getattr(child, "act", None)) if part is not None]
            setattr(module, name, nn.Sequential(*rest).eval())
        before = child


def _join(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    statistics = (norm.running_mean, norm.running_var, norm.eps)
    conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics, norm.weight, norm.bias)


def _feeds(conv: nn.Module | None, norm: nn.BatchNorm2d) -> bool:
    return isinstance(conv, nn.Conv2d) and conv.out_channels == norm.num_features and norm.track_running_stats
