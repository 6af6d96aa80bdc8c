"""A plain convolutional network: the smallest seed worth evolving."""

import torch
import torch.nn as nn


class ConvBlock(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(kernel_size=2)

    def forward(self, x):
        return self.pool(self.act(self.norm(self.conv(x))))


class Head(nn.Module):
    def __init__(self, channels, num_classes):
        super().__init__()
        self.hidden = nn.Linear(channels, 128)
        self.act = nn.ReLU()
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(128, num_classes)

    def forward(self, x):
        x = x.mean(dim=(2, 3))
        return self.out(self.dropout(self.act(self.hidden(x))))


class PlainCNN(nn.Module):
    def __init__(self, num_classes=10, in_channels=3):
        super().__init__()
        self.stage1 = ConvBlock(in_channels, 16)
        self.stage2 = ConvBlock(16, 32)
        self.stage3 = ConvBlock(32, 64)
        self.head = Head(64, num_classes)

    def forward(self, x):
        return self.head(self.stage3(self.stage2(self.stage1(x))))


def get_optimizer(model, lr, weight_decay):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)
