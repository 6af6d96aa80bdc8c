"""The entry point: by the rules, in their order, and never by guessing between two."""

# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest
from transform_seed import TEXT, genome_of

from ge_engine.entry import resolve_entry
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed

FACTS = {"num_classes": 10, "in_channels": 3, "image_size": 32}
ROOT = Path(__file__).resolve().parent.parent
HEAD = "import torch\nimport torch.nn as nn\nfrom torch import nn as N\n"


def module(name: str, parameters: str = "", body: str = "pass", base: str = "nn.Module") -> str:
    comma = ", " if parameters else ""
    return (
        f"class {name}({base}):\n    def __init__(self{comma}{parameters}):\n        super().__init__()\n        {body}\n"
        "    def forward(self, x):\n        return x\n\n"
    )


CASES = {
    "one root": (module("Layer") + module("Net", "num_classes=10", "self.l = Layer()"), "Net(num_classes=10)"),
    "spellings": (module("Net", "img_channels, class_num, img_size=224"), "Net(img_channels=3, class_num=10, img_size=32)"),
    "camel case": (module("Net", "inChannels, numClasses"), "Net(inChannels=3, numClasses=10)"),
    "loose words only where required": (module("Net", "channels, out_features, width=64"), "Net(channels=3, out_features=10)"),
    "loose words with defaults keep them": (module("Net", "n_classes, channels=64, size=4"), "Net(n_classes=10)"),
    "keyword only": (module("Net", "*, num_classes"), "Net(num_classes=10)"),
    "positional only": (module("Net", "num_classes, /"), "Net(10)"),
    "a base is no root": (module("Base") + module("Net", base="Base"), "Net()"),
    "a base of this file makes a module": (
        module("Base") + "class Net(Base):\n    def __init__(self, num_classes):\n        pass\n", "Net(num_classes=10)",
    ),
    "no forward is no root": ("class Mixin(nn.Module):\n    pass\n" + module("Net"), "Net()"),
    "sequential": ("class Net(nn.Sequential):\n    def __init__(self, num_classes):\n        super().__init__(nn.Linear(1, num_classes))\n", "Net(num_classes=10)"),
    "a loss beside the model": (module("SmoothLoss", "eps=0.1") + module("Net", "num_classes=5"), "Net(num_classes=10)"),
    "a default that counts the numbers of an image": (module("Net", "input_size=784, num_classes=10"), "Net(input_size=3072, num_classes=10)"),
    "an annotated default that does so": (module("Net", "input_dim: int = 3072, n_classes: int = 10"), "Net(input_dim=3072, n_classes=10)"),
    "a size of images with a default": (module("Net", "input_size=224"), "Net(input_size=32)"),
    "a width called channels": (module("Net", "n_channels=64, num_classes=10"), "Net(num_classes=10)"),
    "a script module": (module("Net", "num_classes", base="torch.jit.ScriptModule"), "Net(num_classes=10)"),
    "a model of a library": (
        "from torchvision.models import ResNet\nclass Net(ResNet):\n    def __init__(self, num_classes=10):\n        super().__init__(None, [])\n",
        "Net(num_classes=10)",
    ),
    "a loss of a library": ("class Soft(nn.CrossEntropyLoss):\n    pass\n" + module("Net"), "Net()"),
    "a settings class of a library": (
        "from transformers import PretrainedConfig\nclass NetConfig(PretrainedConfig):\n    def __init__(self, num_classes=5):\n        pass\n"
        + module("Net", "config: NetConfig"), "Net(config=NetConfig(num_classes=10))",
    ),
    "a helper that a class is made with": (
        "def block(in_channels=3):\n    return nn.Sequential(nn.Conv2d(in_channels, 8, 3))\n" + module("Net", "num_classes=10", "self.b = block()"),
        "Net(num_classes=10)",
    ),
    "two helpers and a factory": (
        "def block():\n    return nn.Sequential(nn.ReLU())\n" + module("Net", "num_classes=10", "self.b = block()")
        + "def net(num_classes=10):\n    return Net(num_classes)\n", "net(num_classes=10)",
    ),
    "a guard that unpacks": (
        module("Net", "width, num_classes=5") + "if __name__ == '__main__':\n    b, c, h = 4, 16, 32\n    net = Net(c, 7)\n", "Net(width=16, num_classes=10)",
    ),
    "a guard that unpacks what a call gives": (
        module("Net", "width=8, num_classes=5") + "if __name__ == '__main__':\n    b, c = torch.zeros(4, 16).shape\n    net = Net(c, 7)\n", "Net(num_classes=10)",
    ),
    "a guard that loops": (
        module("Net", "width=8, num_classes=5") + "if __name__ == '__main__':\n    for c in (1, 2):\n        net = Net(c, 7)\n", "Net(num_classes=10)",
    ),
    "one factory": (
        module("Net", "depth, num_classes=10") + "def make(num_classes=1000):\n    return Net(3, num_classes)\n", "make(num_classes=10)",
    ),
    "a factory that hands keywords on": (
        module("Net", "depth, n_classes=10") + "def _make(depth, **kwargs):\n    model = Net(depth, **kwargs)\n    return model\n"
        "def net18(*, weights=None, **kwargs):\n    return _make(18, **kwargs)\n", "net18(n_classes=10)",
    ),
    "two factories, one root": (
        module("Net", "depth=3, num_classes=10") + "def small():\n    return Net(1)\ndef large():\n    return Net(9)\n", "Net(num_classes=10)",
    ),
    "a factory with required arguments does not count": (
        module("Net", "num_classes=10") + "def make(depth):\n    return Net(depth)\n", "Net(num_classes=10)",
    ),
    "a factory of a sequence": ("def net(num_classes):\n    return nn.Sequential(nn.Linear(3, num_classes)).cuda()\n", "net(num_classes=10)"),
    "the optimizer is no factory": (
        module("Net", "num_classes") + "def get_optimizer(model):\n    return torch.optim.SGD(model.parameters(), 0.1)\n", "Net(num_classes=10)",
    ),
    "main guard": (
        module("A") + module("B", "width, num_classes=10")
        + "if __name__ == '__main__':\n    x = torch.randn(1)\n    model = B(width=8, num_classes=1000).to('cpu')\n    print(model(x))\n",
        "B(width=8, num_classes=10)",
    ),
    "main guard with positional arguments and a constant": (
        module("A") + module("B", "width, num_classes")
        + "if __name__ == '__main__':\n    w = 4 * 4\n    net = B(w, 100)\n", "B(width=4 * 4, num_classes=10)",
    ),
    "main guard calls main": (
        module("A") + module("B", "depth, num_classes=7")
        + "def main():\n    model = B(depth=3)\n    return model\nif __name__ == '__main__':\n    main()\n", "B(depth=3, num_classes=10)",
    ),
    "main guard that builds nothing": (
        module("Net", "num_classes") + "if __name__ == '__main__':\n    print('hello')\n", "Net(num_classes=10)",
    ),
    "main guard with what only it knows": (
        module("Net", "num_classes, depth=1") + "if __name__ == '__main__':\n    args = parse()\n    model = Net(args.n, args.depth)\n",
        "Net(num_classes=10)",
    ),
    "config dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass NetConfig:\n    width: int = 8\n    num_classes: int = 5\n    image_size: int = 224\n"
        + module("Layer", "config") + module("Net", "config", "self.l = Layer(config)"), "Net(config=NetConfig(num_classes=10, image_size=32))",
    ),
    "config by annotation": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n_classes: int = 5\n@dataclass\nclass B:\n    x: int = 1\n"
        + module("Net", "settings: A"), "Net(settings=A(n_classes=10))",
    ),
    "config class with __init__": (
        "class Config:\n    def __init__(self, classes=3, width=2):\n        self.classes = classes\n" + module("Net", "cfg"),
        "Net(cfg=Config(classes=10))",
    ),
    "several roots, one for images": (
        module("XForImageClassification", "num_classes=2") + module("XForMasking", "num_classes=2"), "XForImageClassification(num_classes=10)",
    ),
    "a config with defaults as a default": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    num_classes: int = 1000\n" + module("Net", "config: C = C()"),
        "Net(config=C(num_classes=10))",
    ),
    "a config as a default without annotation": (
        "class C:\n    def __init__(self, classes=5):\n        pass\nclass CConfig(C):\n    pass\n" + module("Net", "how=CConfig()"),
        "Net(how=CConfig(classes=10))",
    ),
    "a config that may be None": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    in_chans: int = 1\n" + module("Net", "config: 'Optional[C]' = None, o: C | None = None"),
        "Net(o=C(in_chans=3))",
    ),
    "a default config that is more than its class": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    num_classes: int = 5\n    width: int = 2\n" + module("Net", "config: C = C(width=8)"),
        "Net()",
    ),
    "a config that takes nothing of the task": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    width: int = 2\n" + module("Net", "config: C = None"), "Net()",
    ),
    "a model built at import": (
        "hidden, classes = 8, 5\n" + module("Net", "input_size, hidden, num_classes") + "model = Net(28, hidden, classes).to('cpu')\n",
        "Net(input_size=32, hidden=hidden, num_classes=10)",
    ),
    "two models built at import": (
        module("G", "n=1") + module("D", "num_classes=5") + "g = G(2)\nd = D()\n", "D(num_classes=10)",
    ),
    "a class within a function": (
        "def get_net(n_classes=3):\n    class Inner(nn.Module):\n        pass\n    return Inner()\n", "get_net(n_classes=10)",
    ),
    "a model of torchvision with a new head": (
        "from torchvision import models\ndef create(num_classes):\n    m = models.resnet18(weights=None)\n    m.fc = nn.Linear(512, num_classes)\n    return m\n",
        "create(num_classes=10)",
    ),
    "a model of timm": ("import timm\ndef create(nclass=2):\n    return timm.create_model('x', num_classes=nclass)\n", "create(nclass=10)"),
    "a backbone beside the model": (
        "import torchvision\ndef teacher():\n    return torchvision.models.resnet18()\n" + module("Net", "n_classes"), "Net(n_classes=10)",
    ),
    "a weight of torchvision": ("from torchvision import models\ndef w(x):\n    return x.resnet18()\n" + module("Net"), "Net()"),
    "annotations are no use": (
        module("Loss") + "def train(model: 'Net') -> Loss:\n    pass\n" + module("Net", "num_classes, helper: Loss = None"), "Net(num_classes=10)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_entry_is_found_by_the_rules(case: str) -> None:
    text, expected = CASES[case]
    assert resolve_entry(genome_of(HEAD + text), FACTS) == expected


REFUSED = {
    "two roots": (module("A") + module("B"), "2 builders could give the model: A, B", ["A()", "B()"]),
    "two roots with classes": (
        module("A", "num_classes") + module("B", "num_classes, depth=3"), "A, B", ["A(num_classes)", "B(num_classes, depth=3)"],
    ),
    "two factories and a root that needs more": (
        module("Net", "depth") + "def a():\n    return Net(1)\ndef b():\n    return Net(2)\n", "a, b, Net", ["a()", "Net(depth)"],
    ),
    "unknown argument": (module("Net", "depth, num_classes"), "needs arguments that the task does not know: depth", ["Net(depth, num_classes)"]),
    "a config that needs more": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    depth: int\n" + module("Net", "config"), "does not know: config", ["Net(config)"],
    ),
    "a factory and the classes that it uses": (
        module("Residual", "fn") + module("Mean") + "def mixer(dim, depth, n_classes=5):\n    return nn.Sequential(Residual(1), Mean())\n",
        "The model mixer needs arguments that the task does not know: dim, depth", ["mixer(dim=..., depth=..., n_classes=10)"],
    ),
    "no module": ("class A:\n    def forward(self, x):\n        return x\n", "no class that is a torch module", ["Name the file that defines the model"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_ambiguous_is_refused_with_the_candidates_and_their_signatures(case: str) -> None:
    text, message, candidates = REFUSED[case]
    with pytest.raises(SeedError) as error:
        resolve_entry(genome_of(HEAD + text), FACTS)
    assert message in error.value.message
    assert all(candidate in error.value.hint for candidate in candidates)


def test_an_override_is_taken_as_it_is_filled_or_refused() -> None:
    genome = genome_of(HEAD + module("A", "num_classes, depth=2") + module("B", "depth"))
    assert resolve_entry(genome, FACTS, "A(7, depth=torch.pi)") == "A(7, depth=torch.pi)"
    assert resolve_entry(genome, FACTS, " A ") == "A(num_classes=10)"
    for override, message in (
        ("A(", "no Python expression"),
        ("C()", "names 'C', which the seed model does not define"),
        ("B", "needs arguments: depth"),
        ("A(x=1); B()", "no Python expression"),
        ("(" * 3000, "no Python expression"),
    ):
        with pytest.raises(SeedError, match=message.replace("(", r"\(")):
            resolve_entry(genome, FACTS, override)


def test_fewer_facts_fill_less() -> None:
    genome = genome_of(HEAD + module("Net", "num_classes=2, in_chans=1"))
    assert resolve_entry(genome, {}) == "Net()"
    assert resolve_entry(genome, {"in_channels": 1}) == "Net(in_chans=1)"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("img_size: tuple[int, int], num_classes: int", "Net(img_size=(32, 32), num_classes=10)"),
        ("image_size=(224, 224)", "Net(image_size=(32, 32))"),
        ("image_size: 'int | tuple[int, int]' = 224", "Net(image_size=32)"),
        ("kernel=(3, 3), num_classes=2, *, input_size=(8, 8)", "Net(num_classes=10, input_size=(32, 32))"),
        ("image_size=224, kernel=(3, 3), num_classes=7", "Net(image_size=32, num_classes=10)"),
    ],
)
def test_a_size_that_is_wanted_as_a_pair_and_given_as_a_number(arguments: str, expected: str) -> None:
    assert resolve_entry(genome_of(HEAD + module("Net", arguments)), FACTS) == expected


def test_a_pair_that_keyword_arguments_of_a_factory_reach() -> None:
    text = HEAD + module("Net", "input_size: Tuple[int, int], num_classes=2, depth=1")
    text += "\n\ndef net(**kwargs):\n    return Net(kwargs.pop('input_size', (224, 224)), **kwargs)\n"
    assert resolve_entry(genome_of(text), FACTS) == "net(input_size=(32, 32), num_classes=10)"


def test_a_config_in_a_file_beside_the_seed_is_read(tmp_path: Path) -> None:
    """As transformers has it: the configuration stands in another file of the package."""
    (tmp_path / "configuration_x.py").write_text(
        "from ...configuration_utils import PreTrainedConfig\nclass XConfig(PreTrainedConfig):\n"
        "    def __init__(self, hidden=8, image_size=224, num_channels=3, **kwargs):\n        pass\n"
    )
    text = "from .configuration_x import XConfig\n" + HEAD
    text += module("XModel", "config: XConfig", base="PreTrainedModel")
    text += module("XForImageClassification", "config: XConfig", "self.m = XModel(config)", "PreTrainedModel")
    (tmp_path / "modeling_x.py").write_text(text)
    genome = Seed.load(tmp_path / "modeling_x.py").genome
    expected = "XForImageClassification(config=XConfig(image_size=32, num_channels=3, num_labels=10))"
    assert resolve_entry(genome, FACTS) == expected


@pytest.mark.parametrize("name", ["exquisitenet_v2.py", "plain_cnn.py"])
def test_the_examples_need_no_entry(name: str) -> None:
    entry = resolve_entry(Seed.load(ROOT / "examples" / name).genome, FACTS)
    assert entry.endswith("(num_classes=10, in_channels=3)")


def test_the_entry_follows_a_genome_that_a_patch_changed() -> None:
    genome = genome_of()
    assert isinstance(genome, Genome)
    assert resolve_entry(genome, FACTS) == "Net(num_classes=10)"
    assert "class SE" in TEXT
