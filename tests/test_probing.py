"""What a probe finds: weights counted once and never free, gradient flow, live blocks, same functions."""

from __future__ import annotations

import pytest

from ge_engine.evaluation.probe.findings import ProbeFindings
from tests.evaluation import NET_PARAMETERS, probe_here, source


def parameters(text: str) -> float:
    return probe_here(text).facts["parameters"]


def test_a_plain_network_goes_through() -> None:
    found = probe_here(source())
    assert (found.stage, found.error, found.output_shape) == ("", "", (8, 4))
    assert found.facts["parameters"] == NET_PARAMETERS
    assert found.facts["flops"] == 2 * 16 * 16 * 8 * 27 + 2 * 8 * 4
    assert found.facts["hidden_weights"] == 0
    assert found.without_gradient == set()


def test_tied_weights_counted_twice() -> None:
    tied = source(init="self.twin = nn.Linear(8, num_classes)\nself.twin.weight = self.head.weight")
    assert parameters(tied) == NET_PARAMETERS + 4


def test_a_lazy_layer_counted_before_it_knows_its_size() -> None:
    assert (
        parameters(source().replace("nn.Linear(8, num_classes)", "nn.LazyLinear(num_classes)"))
        == NET_PARAMETERS
    )


def test_an_overridden_parameters_method_that_hides_weights() -> None:
    text = source().replace(
        "    def forward(self, x):\n        training",
        "    def parameters(self, recurse=True):\n        yield self.head.weight\n\n"
        "    def named_modules(self, *a, **k):\n        return iter(())\n\n"
        "    def forward(self, x):\n        training",
    )
    assert parameters(text) == NET_PARAMETERS


HIDDEN = {
    "a buffer": {
        "init": "self.register_buffer('w', torch.randn(8, 4))",
        "forward": "return self.body(x) @ self.w",
    },
    "a buffer that is not persistent": {
        "init": "self.register_buffer('w', torch.randn(8, 4), persistent=False)",
        "forward": "return self.body(x) @ self.w",
    },
    "a tensor attribute": {"init": "self.w = torch.randn(8, 4)", "forward": "return self.body(x) @ self.w"},
    "a global": {"top": "W = torch.randn(8, 4)", "forward": "return self.body(x) @ W"},
    "a closure": {
        "init": "w = torch.randn(8, 4)\nself.project = lambda x: x @ w",
        "forward": "return self.project(self.body(x))",
    },
    "an object": {
        "top": "class Box:\n    pass",
        "init": "self.box = Box()\nself.box.w = torch.randn(8, 4)",
        "forward": "return self.body(x) @ self.box.w",
    },
    "a Python list": {
        "init": "self.w = torch.randn(8, 4).tolist()",
        "forward": "return self.body(x) @ torch.tensor(self.w)",
    },
    "a numpy array": {
        "top": "import numpy as np",
        "init": "self.w = np.ones((8, 4), dtype=np.float32)",
        "forward": "return self.body(x) @ torch.from_numpy(self.w)",
    },
}


@pytest.mark.parametrize("places", HIDDEN.values(), ids=HIDDEN)
def test_weights_that_are_free(places: dict[str, str]) -> None:
    found = probe_here(source(**places))
    assert found.facts["parameters"] == NET_PARAMETERS + 32
    assert found.facts["hidden_weights"] == 32


def test_running_statistics_counted_as_weights() -> None:
    assert probe_here(source()).facts["hidden_weights"] == 0


def test_constants_of_a_formula_counted_as_weights() -> None:
    text = source(forward="x = x * torch.tensor(0.5) + torch.zeros_like(x) + torch.arange(16) / 16")
    assert parameters(text) == NET_PARAMETERS


UNREGISTERED = {
    "a list": "self.layers = [nn.Linear(8, 8) for _ in range(3)]",
    "a dict of tuples": "self.layers = {'a': (nn.Linear(8, 8),)}",
    "a list of parameters": "self.scales = [nn.Parameter(torch.ones(8))]",
}


@pytest.mark.parametrize("init", UNREGISTERED.values(), ids=UNREGISTERED)
def test_modules_that_are_not_registered(init: str) -> None:
    found = probe_here(source(init=init))
    assert len(found.unregistered) == 1
    assert found.unregistered[0].startswith(init[5:11])


def test_a_trainable_tensor_outside_the_model() -> None:
    text = source(top="W = torch.randn(8, 4, requires_grad=True)", forward="return self.body(x) @ W")
    assert probe_here(text).unregistered == ["a trainable tensor of shape (8, 4)"]


BODY = {"body.conv.weight", "body.conv.bias", "body.norm.weight", "body.norm.bias"}


def test_a_head_that_multiplies_by_zero() -> None:
    everything = {
        "body.conv.weight",
        "body.conv.bias",
        "body.norm.weight",
        "body.norm.bias",
        "head.weight",
        "head.bias",
    }
    found = probe_here(source(forward="return self.head(self.body(x)) * 0"))
    assert found.without_gradient == everything


def test_a_detached_body() -> None:
    found = probe_here(source(forward="return self.head(self.body(x).detach())"))
    assert found.without_gradient == BODY


def test_a_branch_that_starts_at_zero_taken_for_one_without_gradient() -> None:
    text = source(
        init="self.gate = nn.Parameter(torch.zeros(8))\nself.branch = nn.Linear(8, 8)",
        forward="y = self.body(x)\nreturn self.head(y + self.gate * self.branch(y))",
    )
    assert probe_here(text).without_gradient == set()


def test_blocks_that_run_and_one_that_does_not() -> None:
    dead = source() + "\n\nclass Dead(nn.Module):\n    def forward(self, x):\n        return x\n"
    executed = probe_here(dead).executed
    assert {"Net", "Net.forward", "Net.__init__", "Body.forward", "get_optimizer"} <= executed
    assert not any(address.startswith("Dead") for address in executed)


def test_live_blocks_without_a_function_of_their_own() -> None:
    text = source(
        top="from dataclasses import dataclass\n\n@dataclass\nclass Config:\n    width: int = 8\n\n"
        "class Act(nn.SiLU):\n    pass\n\ndef registered(kind):\n    return kind\n",
        init="self.act = Act()\nself.width = Config().width",
    ).replace("class Body", "@registered\nclass Body")
    assert {"Config", "Act", "registered"} <= probe_here(text).executed


def fingerprint(text: str) -> str:
    found = probe_here(text)
    assert found.fingerprint
    return found.fingerprint


SAME = {
    "renamed": source().replace("self.conv", "self.convolution").replace("self.body", "self.features"),
    "reordered": source()
    .replace("        self.body = Body(8)\n", "")
    .replace("num_classes)\n        pass", "num_classes)\n        self.body = Body(8)"),
    "written otherwise": source().replace("F.relu(", "torch.relu("),
    "with a statement that does nothing": source(forward="y = x + 1"),
}
OTHER = {
    "activation": source().replace("F.relu(", "F.gelu("),
    "width": source().replace("Body(8)", "Body(16)").replace("nn.Linear(8", "nn.Linear(16"),
    "dropout": source(forward="x = F.dropout(x, 0.1, self.training)"),
    "momentum": source().replace("momentum=0.9", "momentum=0.8"),
    "weight decay": source().replace("weight_decay=weight_decay", "weight_decay=2 * weight_decay"),
    "learning rate": source().replace("lr=lr", "lr=0.9 * lr"),
    "batch norm momentum": source().replace("BatchNorm2d(channels)", "BatchNorm2d(channels, momentum=0.2)"),
    "initialisation": source(init="nn.init.zeros_(self.head.weight)"),
    "a dead weight": source(init="self.spare = nn.Linear(2, 2)"),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_the_same_function_trained_again(text: str) -> None:
    assert text != source()
    assert fingerprint(text) == fingerprint(source())


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_another_function_taken_for_the_same(text: str) -> None:
    assert text != source()
    assert fingerprint(text) != fingerprint(source())


SAME_GRAPH = {
    "renamed": SAME["renamed"],
    "factor": source(forward="x = 0.9 * x"),
    "epsilon": source(forward="x = 1.1 * x").replace(
        "BatchNorm2d(channels)", "BatchNorm2d(channels, eps=0.01)"
    ),
}
OTHER_GRAPH = {
    "activation": OTHER["activation"],
    "width": OTHER["width"],
    "a further operation": source(forward="x = 1.1 * x + x"),
    "operands": source(forward="x = 1.1 * x\nx = x + x"),
}


@pytest.mark.parametrize("text", SAME_GRAPH.values(), ids=SAME_GRAPH)
def test_a_constant_taken_for_another_graph(text: str) -> None:
    base = source() if text == SAME["renamed"] else source(forward="x = 1.1 * x")
    assert probe_here(text).graph == probe_here(base).graph != ""


def test_other_graphs_taken_for_the_same() -> None:
    texts = [source(), source(forward="x = 1.1 * x"), *OTHER_GRAPH.values()]
    assert len({probe_here(text).graph for text in texts}) == len(texts)


def test_an_error_at_the_wrong_stage() -> None:
    cases = {
        "import": source(top="import no_such_module"),
        "build": source(init="raise ValueError('no')"),
        "forward": source(forward="x = x.view(3, -1, 7)"),
        "backward": source(forward="with torch.no_grad():\n    return self.head(self.body(x))"),
        "optimizer": source().replace("return torch.optim", "return 7\n    torch.optim"),
    }
    for stage, text in cases.items():
        findings = stopped(text)
        assert findings.stage == stage


def stopped(text: str) -> ProbeFindings:
    findings = ProbeFindings()
    with pytest.raises((ImportError, ValueError, RuntimeError, TypeError)):
        probe_here(text, findings=findings)
    return findings


RETURNS = {
    "a tuple": "return self.head(self.body(x)), x",
    "a dict": "return {'features': x, 'out': self.head(self.body(x))}",
    "an object with logits": "return Answer(x, self.head(self.body(x)))",
}


@pytest.mark.parametrize("forward", RETURNS.values(), ids=RETURNS)
def test_a_model_that_returns_more_than_logits(forward: str) -> None:
    top = "from typing import NamedTuple\n\nclass Answer(NamedTuple):\n    x: object\n    logits: object\n"
    assert probe_here(source(top=top, forward=forward)).output_shape == (8, 4)


def test_a_cache_that_keeps_a_tensor_of_the_rehearsal_on_the_meta_device() -> None:
    text = source(
        top="import functools\n\n@functools.cache\ndef table():\n    return torch.ones(16)\n",
        init="self.table = table()",
        forward="x = x * self.table",
    )
    found = probe_here(text)
    assert (found.stage, found.output_shape) == ("", (8, 4))
