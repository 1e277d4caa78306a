"""3x3 convolutions in float32 with a quarter of the multiplications (Winograd; Lavin & Gray 2016, arXiv:1509.09308).

A CPU without bfloat16 instructions spends nearly all of a big generator's time in wide 3x3 convolutions at high
resolution, for which torch's library has no such algorithm. F(4x4, 3x3) makes 16 outputs of 36 inputs by 36
multiplications where 144 are usual; written as matrix products it is about twice as fast.
"""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The transforms of F(4x4, 3x3): of the input, of the kernel and of the output.
B = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
G = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # of 24
A = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

NARROWEST, WIDEST = 128, 704  # channels between which it pays; the transformed weights take four times the memory
FEWEST_TILES = 256  # of 4x4 pixels, below which the plain convolution is as fast
STRIP = 512  # tiles that are worked on at once, so that they stay in the processor's cache


class WinogradConv(nn.Module):
    "The same as a 3x3 convolution of stride 1 and padding 1, for use and not for training."

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.conv = conv

    @cached_property
    def transforms(self) -> tuple[Tensor, Tensor, Tensor]:
        "Of the weights (36, C, C'), the input and the output; made at first use, for a small picture needs none."
        kernel = torch.tensor(G, dtype=torch.float64) / 24
        weight = torch.einsum("ai,ocij,bj->abco", kernel, self.conv.weight.double(), kernel).flatten(0, 1)
        # Matrix products are quickest where rows begin at round addresses.
        weight = F.pad(weight, (0, -self.conv.out_channels % 16, 0, -self.conv.in_channels % 16))
        matrices = (torch.tensor(matrix, dtype=torch.float32) for matrix in (B, A))
        return weight.float().contiguous(), *(torch.kron(matrix, matrix) for matrix in matrices)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        down, across = -(-height // 4), -(-width // 4)
        if batch * down * across < FEWEST_TILES:
            return self.conv(x)
        weight, of_input, of_output = self.transforms
        channels = weight.shape[1]
        # What lies beyond the border of 1 is of no result that is kept.
        right, bottom = 4 * across - width, 4 * down - height
        if self.conv.padding_mode == "zeros":
            padded = F.pad(x.permute(0, 2, 3, 1), (0, channels - x.shape[1], 1, right + 1, 1, bottom + 1))
        else:
            x = F.pad(x, (1, 1, 1, 1), self.conv.padding_mode)
            padded = F.pad(x.permute(0, 2, 3, 1), (0, channels - x.shape[1], 0, right, 0, bottom))
        out = x.new_empty(batch, 4 * down, 4 * across, self.conv.out_channels)
        rows = max(1, STRIP // (batch * across))
        for top in range(0, down, rows):
            bottom = min(top + rows, down)
            tiles = padded[:, 4 * top : 4 * bottom + 2].unfold(1, 6, 4).unfold(2, 6, 4)  # (N, rows, across, C, 6, 6)
            spread = of_input @ tiles.permute(4, 5, 0, 1, 2, 3).reshape(36, -1)
            product = torch.bmm(spread.view(36, -1, channels), weight)
            made = (of_output @ product.flatten(1)).view(4, 4, batch, bottom - top, across, -1)
            out[:, 4 * top : 4 * bottom] = (
                made.permute(2, 3, 0, 4, 1, 5).flatten(3, 4).flatten(1, 2)[..., : out.shape[3]]
            )
        if self.conv.bias is not None:
            out += self.conv.bias
        return out[:, :height, :width].permute(0, 3, 1, 2)


def use_winograd(network: nn.Module) -> nn.Module:
    "Replace, in place, the convolutions below `network` for which it pays. Returns the network."
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Conv2d and _pays(child):
                setattr(module, name, WinogradConv(child))
    return network


def _pays(conv: nn.Conv2d) -> bool:
    plain = conv.kernel_size == (3, 3) and conv.stride == conv.padding == conv.dilation == (1, 1)
    known = conv.padding_mode in ("zeros", "replicate") and conv.groups == 1
    return plain and known and all(NARROWEST <= n <= WIDEST for n in (conv.in_channels, conv.out_channels))
