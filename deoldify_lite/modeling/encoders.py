"""Encoders by name: torchvision's ResNets and timm's feature backbones.

An encoder maps a normalised picture (N, 3, H, W) to a list of feature maps, finest first; the last is the input of
the decoder's middle, the others are its skip connections.
"""

from torch import Tensor, nn

from .. import color


class ResNetEncoder(nn.Sequential):
    "A torchvision ResNet without its pooling and classifier. Features after the stem's ReLU and after each layer."

    taps = (2, 4, 5, 6, 7)

    def __init__(self, name: str):
        from torchvision import models

        super().__init__(*list(models.get_model(name, weights=None).children())[:-2])

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for i, layer in enumerate(self):
            x = layer(x)
            if i in self.taps:
                features.append(x)
        return features


class TimmEncoder(nn.Module):
    "A timm feature backbone. Takes ImageNet statistics as all encoders here do, whatever it was trained with."

    def __init__(self, name: str):
        import timm

        super().__init__()
        self.model = timm.create_model(name, pretrained=False, features_only=True)
        self.mean, self.std = self.model.default_cfg["mean"], self.model.default_cfg["std"]

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.model(color.normalize(color.denormalize(x), self.mean, self.std))


def build_encoder(name: str) -> nn.Module:
    """The untrained encoder `name`: `resnet34` and its kin from torchvision, all else from timm.

    Raises:
        ValueError: neither library knows the name, or timm cannot turn it into a feature backbone.
    """
    from torchvision import models

    if name.startswith(("resnet", "resnext", "wide_resnet")) and name in models.list_models():
        return ResNetEncoder(name)
    try:
        return TimmEncoder(name)
    except (RuntimeError, AttributeError, KeyError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"encoder {name!r} is neither a torchvision ResNet nor a timm feature backbone") from error
