"""Encoders by name: ResNets, EfficientNet-Lites, and whatever torchvision and timm have besides.

An encoder maps a normalised picture (N, 3, H, W) to a list of feature maps, finest first; the last is the input of
the decoder's middle, the others are its skip connections. `encoder.feature_maps` lists channels and stride of each;
`encoder.beginning`, where there is one, the paths of its first layers, 3 % of the work at most, which are sensitive to
rounding.
"""

from torch import Tensor, nn

from .. import color
from ..errors import UsageError
from .backbones import EFFICIENTNETS, RESNETS, EfficientNetLite, resnet

STRIDES = (2, 4, 8, 16, 32)


class ResNetEncoder(nn.Sequential):
    "A ResNet without its pooling and classifier. Features after the stem's ReLU and after each layer."

    taps = (2, 4, 5, 6, 7)
    beginning = ("0", "1", "2")

    def __init__(self, name: str):
        super().__init__(*(resnet(name) if name in RESNETS else _torchvision_resnet(name)))
        widths = [getattr(layer[-1], "conv3", layer[-1].conv2).out_channels for layer in list(self)[4:]]
        self.feature_maps = list(zip([self[0].out_channels, *widths], STRIDES))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for i, layer in enumerate(self):
            x = layer(x)
            if i in self.taps:
                features.append(x)
        return features


class BackboneEncoder(nn.Module):
    "A backbone under timm's name. Takes ImageNet statistics as all encoders here do, whatever it was trained with."

    def __init__(self, name: str):
        super().__init__()
        if name in EFFICIENTNETS:
            self.model, self.mean, self.std = EfficientNetLite(name), (0.5,) * 3, (0.5,) * 3
            self.feature_maps = list(zip(self.model.widths, STRIDES))
            self.beginning = ("model.conv_stem", "model.bn1", "model.blocks.0", "model.blocks.1")
        else:
            import timm

            self.model = timm.create_model(name, pretrained=False, features_only=True)
            self.mean, self.std = self.model.default_cfg["mean"], self.model.default_cfg["std"]
            self.feature_maps = list(zip(self.model.feature_info.channels(), self.model.feature_info.reduction()))

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.model(color.normalize(color.denormalize(x), self.mean, self.std))


def build_encoder(name: str) -> nn.Module:
    """The untrained encoder `name`: `resnet34` and its kin as in torchvision, all else as in timm.

    Raises:
        ValueError: neither library knows the name, or timm cannot turn it into a feature backbone.
    """
    if name in RESNETS or (name.startswith(("resnet", "resnext", "wide_resnet")) and _torchvision_has(name)):
        return ResNetEncoder(name)
    try:
        return BackboneEncoder(name)
    except (RuntimeError, AttributeError, KeyError, TypeError, ValueError, AssertionError) as error:
        raise UsageError(f"encoder {name!r} is neither a torchvision ResNet nor a timm feature backbone") from error


def _torchvision_has(name: str) -> bool:
    from torchvision import models

    return name in models.list_models()


def _torchvision_resnet(name: str) -> list[nn.Module]:
    from torchvision import models

    return list(models.get_model(name, weights=None).children())[:-2]
