"""A character transformer: reads the grey levels of an image, row by row, as a text of 64 characters."""

import torch
import torch.nn as nn
import torch.nn.functional as F

ALPHABET = 32
LENGTH = 64
CONFIG = {
    "width": 64,
    "heads": 4,
    "layers": [128, 128, 128],  # the hidden width of each layer's MLP
    "dropout": 0.1,
}


class CausalAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(n, length, width))


class Layer(nn.Module):
    def __init__(self, width, heads, hidden, dropout):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width), nn.Dropout(dropout)
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class CharTransformer(nn.Module):
    def __init__(self, num_classes=10, config=CONFIG):
        super().__init__()
        width = config["width"]
        self.characters = nn.Embedding(ALPHABET, width)
        self.positions = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        self.layers = nn.Sequential(
            *[Layer(width, config["heads"], hidden, config["dropout"]) for hidden in config["layers"]]
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images):
        grey = F.adaptive_avg_pool2d(images.mean(dim=1), 8).flatten(1)
        text = ((grey.tanh() + 1) * (ALPHABET / 2 - 0.01)).long()
        return self.head(self.norm(self.layers(self.characters(text) + self.positions))[:, -1])


def get_optimizer(model, lr, weight_decay):
    return torch.optim.AdamW(model.parameters(), lr=0.01 * lr, weight_decay=weight_decay)
