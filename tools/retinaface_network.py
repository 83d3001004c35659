"""RetinaFace with a MobileNet v1 x0.25 backbone in PyTorch, module by module as the official checkpoint names them.

The same network that `bmzoo/onnx_import/retinaface.py` writes as ONNX: that file names the source of the
architecture. For training only; nothing in `bmzoo/` imports PyTorch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN = (104.0, 117.0, 123.0)  # BGR, taken off the pixels
CHANNELS = 64
ANCHORS = 2  # a cell


def prepared(images: Tensor) -> Tensor:
    """Pictures uint8 [B,H,W,3], BGR -> what the network takes, float32 [B,3,H,W], channels last in memory."""
    pixels = images.permute(0, 3, 1, 2).float() - torch.tensor(MEAN).view(1, 3, 1, 1)
    return pixels.contiguous(memory_format=torch.channels_last)


def convolution(inputs: int, outputs: int, size: int, stride: int = 1, leaky: bool = True) -> nn.Sequential:
    """Convolution, normalization and, where asked for, LeakyReLU (slope 0.1)."""
    layers = [nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.LeakyReLU(0.1)) if leaky else nn.Sequential(*layers)


class Depthwise(nn.Conv2d):
    """3x3, each channel by itself, never in bfloat16: with a stride, its backward pass is far slower there."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels, 3, stride, 1, groups=channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(features.float())


def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Depthwise 3x3, then pointwise."""
    return nn.Sequential(
        Depthwise(inputs, stride) if stride > 1 else nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.LeakyReLU(0.1),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.1),
    )


class Backbone(nn.Module):
    """Images [B,3,H,W] -> maps of 64, 128 and 256 channels at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        first = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
        second = [(64, 128, 2), *[(128, 128, 1)] * 5]
        third = [(128, 256, 2), (256, 256, 1)]
        self.stage1 = nn.Sequential(convolution(3, 8, 3, stride=2), *(separable(*block) for block in first))
        self.stage2 = nn.Sequential(*(separable(*block) for block in second))
        self.stage3 = nn.Sequential(*(separable(*block) for block in third))

    def forward(self, images: Tensor) -> list[Tensor]:
        fine = self.stage1(images)
        middle = self.stage2(fine)
        return [fine, middle, self.stage3(middle)]


class Pyramid(nn.Module):
    """Maps of the backbone -> maps of 64 channels, each finer one with the coarser ones added."""

    def __init__(self) -> None:
        super().__init__()
        self.output1 = convolution(64, CHANNELS, 1)
        self.output2 = convolution(128, CHANNELS, 1)
        self.output3 = convolution(256, CHANNELS, 1)
        self.merge1 = convolution(CHANNELS, CHANNELS, 3)
        self.merge2 = convolution(CHANNELS, CHANNELS, 3)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = self.output1(maps[0]), self.output2(maps[1]), self.output3(maps[2])
        middle = self.merge2(middle + functional.interpolate(coarse, size=middle.shape[2:], mode="nearest"))
        fine = self.merge1(fine + functional.interpolate(middle, size=fine.shape[2:], mode="nearest"))
        return [fine, middle, coarse]


class Context(nn.Module):
    """Fields of view of 3, 5 and 7 cells side by side (SSH); upper and lower case as in the checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = CHANNELS // 2, CHANNELS // 4
        self.conv3X3 = convolution(CHANNELS, half, 3, leaky=False)
        self.conv5X5_1 = convolution(CHANNELS, quarter, 3)
        self.conv5X5_2 = convolution(quarter, quarter, 3, leaky=False)
        self.conv7X7_2 = convolution(quarter, quarter, 3)
        self.conv7x7_3 = convolution(quarter, quarter, 3, leaky=False)

    def forward(self, features: Tensor) -> Tensor:
        shared = self.conv5X5_1(features)
        views = [self.conv3X3(features), self.conv5X5_2(shared), self.conv7x7_3(self.conv7X7_2(shared))]
        return functional.relu(torch.cat(views, dim=1))


class Head(nn.Module):
    """Features [B,64,h,w] -> one row of `values` numbers an anchor, [B,h*w*2,values]."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(CHANNELS, ANCHORS * values, 1)

    def forward(self, features: Tensor) -> Tensor:
        rows: Tensor = self.conv1x1(features).permute(0, 2, 3, 1)
        return rows.reshape(len(rows), -1, self.values)


class RetinaFace(nn.Module):
    """Images [B,3,H,W], BGR minus (104, 117, 123) -> boxes [B,A,4], class logits [B,A,2], landmarks [B,A,10]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Backbone()
        self.fpn = Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = Context(), Context(), Context()
        self.ClassHead = nn.ModuleList(Head(2) for _ in range(3))
        self.BboxHead = nn.ModuleList(Head(4) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(Head(10) for _ in range(3))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        levels = self.fpn(self.body(images))
        features = [context(level) for context, level in zip((self.ssh1, self.ssh2, self.ssh3), levels)]  # noqa: B905
        boxes, classes, landmarks = (
            torch.cat([head(feature) for head, feature in zip(heads, features)], dim=1)  # noqa: B905
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return boxes, classes, landmarks
