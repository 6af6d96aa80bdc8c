"""ExquisiteNetV2, written from its description in Zhou and Su, "A Lightweight CNN for Image
Classification" (2022). For 3 channels and 10 classes it has 518,230 parameters.

Two kinds of block alternate: one that halves the resolution and widens (FCT, EVE, ME), and DFSEB,
a pair of separable convolutions with a squeeze-and-excitation gate and two residual sums.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


def min_pool(x):
    return -F.max_pool2d(-x, kernel_size=2)


class FCT(nn.Module):
    """Feature concentrator: strided depthwise convolution, max pool and min pool, then mixed."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel_size=4, stride=2, padding=1, groups=in_channels, bias=False
        )
        self.pool = nn.MaxPool2d(kernel_size=2)
        self.pointwise = nn.Conv2d(3 * in_channels, out_channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        x = torch.cat([self.depthwise(x), self.pool(x), min_pool(x)], dim=1)
        return self.norm(self.pointwise(x))


class EVE(nn.Module):
    """Halves the resolution by the largest and the smallest value of each window, then mixes."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=2)
        self.pointwise = nn.Conv2d(2 * in_channels, out_channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        x = torch.cat([self.pool(x), min_pool(x)], dim=1)
        return self.norm(self.pointwise(x))


class ME(nn.Module):
    """Halves the resolution by a max pool and widens with a pointwise convolution."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=2)
        self.pointwise = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return self.norm(self.pointwise(self.pool(x)))


class SELayerNorm(nn.Module):
    """Squeeze-and-excitation whose fully connected layers are one LayerNorm."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        squeezed = x.mean(dim=(2, 3))
        gate = torch.sigmoid(self.norm(squeezed))
        return x * gate[:, :, None, None]


class DFSEB(nn.Module):
    """Double separable block: gated first half, Hardswish second half, a residual sum around each."""

    def __init__(self, channels):
        super().__init__()
        self.pointwise1 = nn.Conv2d(channels, channels, kernel_size=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.act1 = nn.SiLU()
        self.depthwise1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels)
        self.gate = SELayerNorm(channels)
        self.pointwise2 = nn.Conv2d(channels, channels, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.act2 = nn.Hardswish()
        self.depthwise2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels)

    def forward(self, x):
        out = self.act1(self.norm1(self.pointwise1(x)))
        x = x + self.gate(self.depthwise1(out))
        out = self.act2(self.norm2(self.pointwise2(x)))
        return x + self.depthwise2(out)


class DW(nn.Module):
    """A last depthwise convolution before the global average."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels)
        self.act = nn.Hardswish()

    def forward(self, x):
        return self.act(self.depthwise(x))


class ExquisiteNetV2(nn.Module):
    def __init__(self, num_classes=10, in_channels=3):
        super().__init__()
        self.features = nn.Sequential(
            FCT(in_channels, 12),
            DFSEB(12),
            EVE(12, 48),
            DFSEB(48),
            ME(48, 96),
            DFSEB(96),
            ME(96, 192),
            DFSEB(192),
            ME(192, 384),
            DFSEB(384),
            DW(384),
        )
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(384, num_classes)

    def forward(self, x):
        x = self.features(x)
        x = x.mean(dim=(2, 3))
        return self.classifier(self.dropout(x))


def get_optimizer(model, lr, weight_decay):
    """SGD with Nesterov momentum; norm weights and biases are not decayed."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)
