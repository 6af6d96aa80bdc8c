"""A multi-layer perceptron for tables: 64 columns of numbers in, a class out."""

import torch
import torch.nn as nn
import torch.nn.functional as F

COLUMNS = 64
HIDDEN = [128, 96, 64]
DROPOUT = 0.1


class Dense(nn.Module):
    def __init__(self, in_features, out_features, dropout):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.norm = nn.BatchNorm1d(out_features)
        self.act = nn.ReLU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.act(self.norm(self.linear(x))))


class TabularMLP(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.scale = nn.BatchNorm1d(COLUMNS)
        layers = []
        width = COLUMNS
        for hidden in HIDDEN:
            layers.append(Dense(width, hidden, DROPOUT))
            width = hidden
        self.layers = nn.Sequential(*layers)
        self.bottleneck = nn.Linear(width, 32)
        self.out = nn.Linear(32, num_classes)

    def forward(self, images):
        row = F.adaptive_avg_pool2d(images.mean(dim=1), 8).flatten(1)
        x = self.layers(self.scale(row))
        return self.out(F.relu(self.bottleneck(x)))


def get_optimizer(model, lr, weight_decay):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)
