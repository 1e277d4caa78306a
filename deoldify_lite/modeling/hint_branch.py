"""The branch that puts hints into a prediction: colours that a person gives for places of the photo.

It stands beside a generator (`Lite`) that stays as it is. Places of the picture get embeddings, from the generator's
own features; every place looks at the hints (attention) and takes over from those whose embedding is like its own how
far their colour is from the prediction. Convolutions make of this what is added to the decoder's features, at an
eighth of the picture's side, from where on the decoder runs again, and at half of it, and to what the head makes.

Where there are no hints all of this is exactly zero: whatever the branch computes from features alone is multiplied by
how much a place takes from hints, and from there on it has neither biases nor norms.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import color
from .generator import Lite

COARSE, FINE = 1, -1  # which of the decoder's features are added to: at an eighth and at half of the picture's side
SHADED = 0.1, 0.5  # between these values of luma the chroma of a thing grows with its light
CELL = 8  # pixels
MOST_CELLS = 512  # with hints, that places look at
QUERIES_AT_ONCE = 4096  # places that look at the hints at a time, without gradients
PARTS = 5  # of what a place takes: two differences of chroma, its amount, and two more differences


class Seen(NamedTuple):
    """What a generator makes of grayscale pictures without hints: all that the branch goes by.

    luma: (N, 1, H, W) in [0, 1].   encoded: the encoder's features, finest first.
    decoded: the decoder's, finest last.   raw, chroma: of the head, (N, 2, H, W); chroma in (-0.5, 0.5).
    """

    luma: Tensor
    encoded: list[Tensor]
    decoded: list[Tensor]
    raw: Tensor
    chroma: Tensor


def see(generator: Lite, x: Tensor) -> Seen:
    "The generator's pass over normalised grayscale pictures (N, 3, H, W)."
    encoded = generator.encoder(x)
    decoded = generator.decode_all(encoded)
    raw = generator.head(decoded[-1], x)
    return Seen(color.luma(color.denormalize(x)), encoded, decoded, raw, generator.bounded(raw))


class HintBranch(nn.Module):
    """A branch for a generator with an encoder's first features, and decoder's features at an eighth and half of the
    picture's side, of these widths."""

    def __init__(self, encoder: int, coarse: int, fine: int, heads: int = 4, dimensions: int = 16, width: int = 48):
        super().__init__()
        self.config = {"encoder": encoder, "coarse": coarse, "fine": fine}
        self.config |= {"heads": heads, "dimensions": dimensions, "width": width}
        self.heads = heads
        self.embed_fine = nn.Conv2d(fine + encoder, 64, 3, padding=1)
        self.embed_coarse = nn.Conv2d(coarse, 64, 1, bias=False)
        self.embed = nn.Conv2d(64, heads * dimensions, 1, bias=False)
        self.nearness = nn.Parameter(torch.linspace(0, 3, heads))  # log of how fast a hint fades with the distance
        self.doubt = nn.Parameter(torch.full((heads,), -2.0))  # the logit of taking nothing
        self.shading = nn.Parameter(torch.tensor(0.5))  # the power of luma that chroma is proportional to
        signals = PARTS * (heads + 1)
        self.gated_fine = nn.Conv2d(fine, 16, 1)
        self.gated_coarse = nn.Conv2d(coarse, width, 1)
        self.fine = nn.Sequential(
            _conv(signals + 16, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, fine + 2, 1)
        )
        self.coarse = nn.Sequential(_conv(signals + width, 64), nn.ReLU(), _conv(64, coarse, 1))
        self.direct = _conv(signals, 2, 1)
        with torch.no_grad():
            for last in (self.fine[-1], self.coarse[-1], self.direct):
                last.weight.zero_()
            # At first a place takes what its hints differ from the prediction by, the mean over the heads.
            for channel in range(2):
                self.direct.weight[channel, channel : PARTS * heads : PARTS] = 1 / heads

    @classmethod
    def of(cls, generator: Lite, **options: int) -> "HintBranch":
        "An untrained branch for a generator."
        blocks = list(generator.layers)[4:-3]
        widths = [block.conv1[0].out_channels for block in blocks]
        return cls(generator.encoder.feature_maps[0][0], widths[COARSE], widths[FINE], **options)

    def embedding(self, seen: Seen) -> Tensor:
        "What tells places apart, (N, heads x dimensions, h, w), at half of the picture's side."
        fine = torch.cat([seen.decoded[FINE], seen.encoded[0]], 1)
        h = self.embed_fine(fine)
        coarse = self.embed_coarse(seen.decoded[COARSE])
        return self.embed(F.relu(h + F.interpolate(coarse, h.shape[-2:], mode="bilinear")))

    def forward(self, seen: Seen, hints: Tensor, cell: int = CELL) -> tuple[Tensor, Tensor, Tensor]:
        """What hints add to the coarse features, to the fine ones, and to what the head makes.

        hints: (N, 3, H, W), wanted Cb and Cr in [-0.5, 0.5] and 1 where there is a hint, all three 0 elsewhere.
        cell: pixels; what hints there are in a square of this side counts as one, their mean.
        """
        signal = self._signal(seen, hints, cell)
        coarse_signal = _mean(signal, seen.decoded[COARSE].shape[-2:])
        coarse = self.coarse(self._gated(coarse_signal, self.gated_coarse, seen.decoded[COARSE]))
        fine, more = self.fine(self._gated(signal, self.gated_fine, seen.decoded[FINE])).tensor_split([-2], 1)
        direct = more + self.direct(signal)
        # A sigmoid follows, which has a slope of a quarter where there is little colour.
        return coarse, fine, 4 * F.interpolate(direct.float(), seen.raw.shape[-2:], mode="bilinear")

    def _gated(self, signal: Tensor, projection: nn.Module, features: Tensor) -> Tensor:
        "The signal and, where there is any, features: (N, C, h, w)."
        amount = signal[:, 2::PARTS].mean(1, keepdim=True)
        return torch.cat([signal, amount * projection(features)], 1)

    def _signal(self, seen: Seen, hints: Tensor, cell: int) -> Tensor:
        """What places take from hints, (N, PARTS x (heads + 1), h, w) at half of the picture's side; 0 without hints.

        Of each head how far the chroma of hints is from what was predicted for them, how much the place takes from
        hints, and how far their chroma is from what was predicted for the place. Then the hints at the place itself.
        """
        embedding, hints = self.embedding(seen).float(), hints.float()
        with torch.autocast(hints.device.type, enabled=False):
            size = embedding.shape[-2:]
            chroma, luma = seen.chroma.float(), seen.luma.float()
            planes = torch.cat([hints, hints[:, :2] - hints[:, 2:] * chroma, chroma, luma], 1)
            wanted, mask, difference, chroma, luma = _mean(planes, size).split([2, 1, 2, 2, 1], 1)
            shading = luma.clamp(*SHADED) ** self.shading
            places = _places(size, embedding).expand(len(hints), -1, -1, -1)
            # Of each hint, times `mask`.
            parts = torch.cat([wanted, difference, mask * torch.cat([embedding, places, shading], 1), mask], 1)
            keys, present = _hinted_cells(parts, max(1, cell // 2))
            *colors, key, key_place, key_shading = keys.split([2, 2, embedding.shape[1], 2, 1], 2)
            key_shading = torch.where(present[:, :, None], key_shading, 1.0)
            values = torch.cat([*(c / key_shading for c in colors), torch.ones_like(key_shading)], 2)
            key = self._with_place(key, key_place)
            query = self._with_place(*(x.flatten(2).transpose(1, 2) for x in (embedding, places)))
            once = query.shape[2] if torch.is_grad_enabled() else QUERIES_AT_ONCE
            taken = torch.cat([self._attend(part, key, values, present) for part in query.split(once, 2)], 2)
            # (N, heads, h w, 5) -> (N, heads, 5, h, w)
            taken = taken.transpose(2, 3).unflatten(3, size)
            to_wanted, by_difference, amount = taken.split([2, 2, 1], 2)
            shading, chroma = shading[:, None], chroma[:, None]
            heads = [by_difference * shading, amount, to_wanted * shading - amount * chroma]
            heads = torch.cat(heads, 2).flatten(1, 2)
            return torch.cat([heads, difference, mask, difference], 1)

    def _with_place(self, embedding: Tensor, places: Tensor) -> Tensor:
        "Embeddings (N, K, heads x dimensions) and places (N, K, 2) -> (N, heads, K, dimensions + 2)."
        scaled = places[:, :, None] * (self.nearness / 2).exp()[:, None]
        return torch.cat([embedding.unflatten(2, (self.heads, -1)), scaled], 3).transpose(1, 2)

    def _attend(self, query: Tensor, key: Tensor, values: Tensor, present: Tensor) -> Tensor:
        "Queries (N, heads, Q, D), keys (N, heads, K, D), their values (N, K, 5) -> (N, heads, Q, 5)."
        logits = query @ key.mT - key.square().sum(3)[:, :, None] / 2 - query.square().sum(3, keepdim=True) / 2
        logits = logits.masked_fill(~present[:, None, None], -torch.inf)
        nothing = self.doubt[:, None, None].expand(len(query), -1, query.shape[2], 1)
        return torch.softmax(torch.cat([logits, nothing], 3), 3)[..., :-1] @ values[:, None]


def _hinted_cells(parts: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Means over what is hinted of each square of `side` places: (N, K, C), and which of these K there are, (N, K).

    parts: (N, C + 1, h, w), the last channel how much of a place is hinted, the others multiplied by it.
    """
    if side > 1:
        parts = F.avg_pool2d(parts, side, ceil_mode=True)
    parts = parts.flatten(2)
    present = parts[:, -1] > 0
    count = max(1, min(MOST_CELLS, int(present.sum(1).max())))
    # Where there are too many, multiples of the golden ratio choose some all over the picture.
    order = torch.arange(present.shape[1], device=present.device) * 0.6180339887 % 1
    chosen = (present * (1 + order)).topk(count, 1).indices
    parts = parts.gather(2, chosen[:, None].expand(-1, parts.shape[1], -1)).transpose(1, 2)
    present = parts[:, :, -1] > 0
    return parts[:, :, :-1] / torch.where(present, parts[:, :, -1], 1.0)[:, :, None], present


def _places(size: tuple[int, int], like: Tensor) -> Tensor:
    "Row and column of each place (1, 2, h, w), in units of the shorter side."
    rows, columns = (torch.arange(side, device=like.device) / min(size) for side in size)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def _mean(x: Tensor, size: tuple[int, int]) -> Tensor:
    "Means over the area of each place of a coarser grid."
    step = x.shape[-2] // size[0]
    if x.shape[-2:] == (step * size[0], step * size[1]):
        return F.avg_pool2d(x, step)
    return F.interpolate(x, size, mode="area")


def _conv(inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)


def hinted_chroma(generator: Lite, branch: HintBranch, seen: Seen, hints: Tensor, cell: int = CELL) -> Tensor:
    "Cb and Cr (N, 2, H, W), in (-0.5, 0.5), with hints (N, 3, H, W) as `HintBranch` takes them."
    coarse, fine, direct = branch(seen, hints, cell)
    start, skips = seen.decoded[COARSE], seen.encoded[: len(seen.decoded) - 1 - COARSE]
    *_, last = generator.decode_from(start + coarse.to(start.dtype), skips)
    raw = generator.head(last + fine.to(last.dtype), seen.raw)
    return generator.bounded(raw + direct)
