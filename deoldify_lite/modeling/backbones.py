"""The two families of encoders that colorizing must not wait for.

torchvision and timm have them, too, and weights go from one to the other by name; but importing those libraries takes
as long as colorizing a hundred photos. Everything else still comes from there (see `encoders`).
"""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

# ResNets (He et al. 2015, arXiv:1512.03385): whether their blocks have a bottleneck, and how many each layer has.
RESNETS = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
    "resnet152": (True, (3, 8, 36, 3)),
}


def resnet(name: str) -> nn.Sequential:
    "A ResNet without its pooling and classifier: convolution, BatchNorm, ReLU, pooling, four layers."
    bottleneck, counts = RESNETS[name]
    kind = Bottleneck if bottleneck else BasicBlock
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    layers, inputs = [], 64
    for i, count in enumerate(counts):
        width, blocks = 64 << i, []
        for j in range(count):
            blocks.append(kind(inputs, width, stride=2 if i and not j else 1))
            inputs = width * kind.expansion
        layers.append(nn.Sequential(*blocks))
    network = nn.Sequential(*stem, *layers)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


class BasicBlock(nn.Module):
    "Two 3x3 convolutions around a shortcut."

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        return self.relu(h + (self.downsample(x) if self.downsample else x))


class Bottleneck(nn.Module):
    "A 3x3 convolution between two 1x1 ones, around a shortcut; the 3x3 one has the stride."

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.bn1(self.conv1(x)))
        h = self.relu(self.bn2(self.conv2(h)))
        h = self.bn3(self.conv3(h))
        return self.relu(h + (self.downsample(x) if self.downsample else x))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


# EfficientNet (Tan & Le 2019, arXiv:1905.11946): blocks, kernel, stride, expansion and width of each stage of the
# smallest; factors of width and depth of the Lite variants, which have neither squeeze-and-excitation nor swish.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EFFICIENTNETS = {
    "tf_efficientnet_lite0": (1.0, 1.0),
    "tf_efficientnet_lite1": (1.0, 1.1),
    "tf_efficientnet_lite2": (1.1, 1.2),
    "tf_efficientnet_lite3": (1.2, 1.4),
    "tf_efficientnet_lite4": (1.4, 1.8),
}
_BatchNorm = partial(nn.BatchNorm2d, eps=1e-3)


class EfficientNetLite(nn.Module):
    "EfficientNet-Lite without its head: features at strides 2 to 32 of (N, 3, H, W), mean and standard deviation 0.5."

    taps = (0, 1, 2, 4, 6)

    def __init__(self, name: str):
        super().__init__()
        width_factor, depth_factor = EFFICIENTNETS[name]
        self.conv_stem = SameConv(3, 32, 3, 2)
        self.bn1 = _BatchNorm(32)
        stages, inputs = [], 32
        for i, (count, kernel, stride, expansion, width) in enumerate(STAGES):
            if i not in (0, len(STAGES) - 1):
                count = -int(-count * depth_factor // 1)
            width = _rounded(width * width_factor)
            blocks = []
            for j in range(count):
                blocks.append(_block(inputs, width, kernel, stride if j == 0 else 1, expansion))
                inputs = width
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.widths = [_rounded(STAGES[i][4] * width_factor) for i in self.taps]

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.relu6(self.bn1(self.conv_stem(x)))
        features = []
        for i, stage in enumerate(self.blocks):
            x = stage(x)
            if i in self.taps:
                features.append(x)
        return features


def _rounded(width: float) -> int:
    "To a multiple of eight, but not to less than nine tenths."
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


class SameConv(nn.Conv2d):
    "A convolution of stride 2 padded as TensorFlow does: where the padding is odd, right and below have more of it."

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        down, across = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
        margins = (across // 2, across - across // 2, down // 2, down - down // 2)
        # Not `super().forward`, which would pad by itself.
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return F.conv2d(F.pad(x, margins, mode), self.weight, self.bias, self.stride, groups=self.groups)


def _depthwise(width: int, kernel: int, stride: int) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
    return SameConv(width, width, kernel, stride, groups=width)


def _block(inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> nn.Module:
    if expansion == 1:
        return _Separable(inputs, outputs, kernel, stride)
    return _InvertedResidual(inputs, outputs, kernel, stride, expansion)


class _Separable(nn.Module):
    "Depthwise, then 1x1."

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        self.conv_dw = _depthwise(inputs, kernel, stride)
        self.bn1 = _BatchNorm(inputs)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = _BatchNorm(outputs)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu6(self.bn1(self.conv_dw(x)))
        h = self.bn2(self.conv_pw(h))
        return h + x if self.has_shortcut else h


class _InvertedResidual(nn.Module):
    "1x1 to more channels, depthwise, 1x1 back (MobileNetV2, Sandler et al. 2018, arXiv:1801.04381)."

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        middle = inputs * expansion
        self.conv_pw = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn1 = _BatchNorm(middle)
        self.conv_dw = _depthwise(middle, kernel, stride)
        self.bn2 = _BatchNorm(middle)
        self.conv_pwl = nn.Conv2d(middle, outputs, 1, bias=False)
        self.bn3 = _BatchNorm(outputs)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu6(self.bn1(self.conv_pw(x)))
        h = F.relu6(self.bn2(self.conv_dw(h)))
        h = self.bn3(self.conv_pwl(h))
        return h + x if self.has_shortcut else h
