"""Model files shaped as repositories have them: found by reading, built, and run for a step."""

# ruff: noqa: E501

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ge_engine.entry import resolve_entry
from ge_engine.genome import Seed
from tests.evaluation import CLASSES, SIZE, probe_here

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"
FACTS = {"num_classes": CLASSES, "in_channels": 3, "image_size": SIZE}
MODELS = {
    "LeNet in a repository's style": """
class LeNet(nn.Module):
    def __init__(self, num_classes=10):
        super(LeNet, self).__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.fc = nn.Linear(6 * 6 * 6, num_classes)
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc(x)

if __name__ == '__main__':
    n, c, h, w = 2, 3, 16, 16
    net = LeNet(num_classes=10)
    print(net(torch.zeros(n, c, h, w)).shape)
""",
    "a perceptron of numbers": """
class MLP(nn.Module):
    def __init__(self, input_size: int = 784, hidden_size: int = 32, num_classes: int = 10):
        super().__init__()
        self.input_size = input_size
        self.net = nn.Sequential(nn.Linear(input_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, num_classes))
    def forward(self, x):
        return self.net(x.reshape(-1, self.input_size))
""",
    "helpers and a residual network": """
def conv3x3(cin, cout, stride=1):
    return nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
class Block(nn.Module):
    expansion = 1
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.a, self.bn = conv3x3(cin, cout, stride), nn.BatchNorm2d(cout)
        self.skip = nn.Identity() if cin == cout else nn.Conv2d(cin, cout, 1, stride)
    def forward(self, x):
        return F.relu(self.bn(self.a(x)) + self.skip(x))
class ResNet(nn.Module):
    def __init__(self, block, num_blocks, num_classes=10):
        super().__init__()
        self.stem = conv3x3(3, 8)
        self.layers = nn.Sequential(*[block(8, 8) for _ in range(num_blocks[0])])
        self.head = nn.Linear(8 * block.expansion, num_classes)
    def forward(self, x):
        return self.head(self.layers(self.stem(x)).mean((2, 3)))
def ResNet10():
    return ResNet(Block, [1, 1, 1, 1], CLASSES)
""".replace("CLASSES", str(CLASSES)),
    "two factories of one class and a guard": """
class VGG(nn.Module):
    def __init__(self, cfg, n_classes=10):
        super().__init__()
        layers, cin = [], 3
        for width in cfg:
            layers += [nn.Conv2d(cin, width, 3, padding=1), nn.ReLU()]
            cin = width
        self.features, self.head = nn.Sequential(*layers), nn.Linear(cin, n_classes)
    def forward(self, x):
        return self.head(self.features(x).amax((2, 3)))
CFG = {'A': [4, 8], 'B': [8, 16]}
def vgg_a(n_classes=10):
    return VGG(CFG['A'], n_classes)
def vgg_b(n_classes=10):
    return VGG(CFG['B'], n_classes)
def main():
    model = vgg_b()
    print(model)
if __name__ == "__main__":
    main()
""",
    "settings in a dataclass": """
from dataclasses import dataclass
@dataclass
class NetConfig:
    in_chans: int = 3
    width: int = 8
    num_classes: int = 1000
class Net(nn.Module):
    def __init__(self, config: NetConfig):
        super().__init__()
        self.conv = nn.Conv2d(config.in_chans, config.width, 3)
        self.head = nn.Linear(config.width, config.num_classes)
    def forward(self, x):
        return self.head(F.gelu(self.conv(x)).mean((-1, -2)))
""",
    "a model of torchvision": """
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock
class Small(ResNet):
    def __init__(self, num_classes=10):
        super().__init__(BasicBlock, [1, 1, 1, 1], num_classes=num_classes)
""",
    "a guard that draws its input": """
class Gate(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, channels // reduction), nn.Linear(channels // reduction, channels))
    def forward(self, x):
        return x * torch.sigmoid(self.fc(x.mean((2, 3))))[:, :, None, None]
class SENet(nn.Module):
    def __init__(self, channels=16, num_class=100):
        super().__init__()
        self.conv, self.gate, self.fc = nn.Conv2d(3, channels, 3), Gate(channels), nn.Linear(channels, num_class)
    def forward(self, x):
        return self.fc(self.gate(self.conv(x)).mean((2, 3)))
if __name__ == '__main__':
    b, c = torch.zeros(2, 3).shape
    x = torch.randn(b, c, 32, 32)
    print(SENet(channels=8)(x).shape)
""",
    "rows as a sequence": """
class RowRNN(nn.Module):
    def __init__(self, image_size=28, hidden=16, num_classes=10):
        super().__init__()
        self.rnn, self.fc = nn.GRU(3 * image_size, hidden, batch_first=True), nn.Linear(hidden, num_classes)
    def forward(self, x):
        x = x.permute(0, 2, 1, 3).flatten(2)
        return self.fc(self.rnn(x)[0][:, -1])
""",
    "patches and attention": """
class ViT(nn.Module):
    def __init__(self, *, image_size, patch_size=4, num_classes, dim=16, channels=3):
        super().__init__()
        self.embed = nn.Conv2d(channels, dim, patch_size, patch_size)
        self.pos = nn.Parameter(torch.zeros(1, (image_size // patch_size) ** 2, dim))
        self.body = nn.TransformerEncoderLayer(dim, 2, 32, batch_first=True)
        self.head = nn.Linear(dim, num_classes)
    def forward(self, x):
        return self.head(self.body(self.embed(x).flatten(2).transpose(1, 2) + self.pos).mean(1))
""",
    "arguments at import": """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('--width', type=int, default=8)
args = parser.parse_args()
class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, args.width, 3), nn.Linear(args.width, num_classes)
    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))
""",
    "features and a classifier": """
class AlexNet(nn.Module):
    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, kernel_size=3, padding=1), nn.ReLU(inplace=True))
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(8 * 2 * 2, num_classes))
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))
""",
    "a width called channels": """
class Mixer(nn.Module):
    def __init__(self, n_channels=64, num_classes=10):
        super().__init__()
        self.stem, self.fc = nn.Conv2d(3, n_channels, 4, 4), nn.Linear(n_channels, num_classes)
    def forward(self, x):
        return self.fc(self.stem(x).mean((2, 3)))
""",
    "a loss beside it": """
class SmoothLoss(nn.CrossEntropyLoss):
    pass
class Net(nn.Module):
    def __init__(self, nclass=10):
        super().__init__()
        self.fc = nn.Linear(3, nclass)
    def forward(self, x):
        return self.fc(x.mean((2, 3)))
""",
    "a dictionary of answers": """
class Net(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.fc, self.aux = nn.Linear(3, n_classes), nn.Linear(3, 7)
    def forward(self, x):
        x = x.mean((2, 3))
        return {'aux': self.aux(x), 'logits': self.fc(x)}
""",
}

SCRIPTED = """
class Net(torch.jit.ScriptModule):
    def __init__(self, num_classes=10):
        super().__init__()
        self.fc = nn.Linear(3, num_classes)
    def forward(self, x):
        return self.fc(x.mean((2, 3)))
"""


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_file_that_runs_with_no_option_and_does_not_here(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["net.py"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    text = HEAD + MODELS[kind]
    entry = resolve_entry(Seed.from_bytes(text.encode(), Path("net.py")).genome, FACTS)
    found = probe_here(text, entry)
    assert (found.stage, found.error) == ("", "")
    assert found.output_shape[1:] == (CLASSES,)


def test_a_script_module_whose_error_says_nothing() -> None:
    entry = resolve_entry(Seed.from_bytes((HEAD + SCRIPTED).encode(), Path("net.py")).genome, FACTS)
    with pytest.raises(TypeError, match=r"derive it from torch\.nn\.Module"):
        probe_here(HEAD + SCRIPTED, entry)
