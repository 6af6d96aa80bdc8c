"""Networks that hide what they cost, lie about their figures, drive the trainer, or forge their report.

`PARAMETERS` is what each of `HIDERS` must be seen to have at least, and `CHEAP` what it would show where it
succeeded. They are probed and trained as the others are; the code in `forward` may use `training`.
"""

from __future__ import annotations

from tests.hostile.candidates import ONCE, Hostile

LARGE = 40_000
"""Weights that a network of HIDERS hides: 3 x 16 x 16 = 768 numbers of an image times 52 or more."""

IMAGES = "flat = x.flatten(1)[:, :400]\n"
ACTS = "return self.head(self.body(x)) + (flat @ {}).view(len(x), 100)[:, :4] * 1e-3"

SMALL = "return self.head(self.body(x)) + (flat @ {})[:, :1] * 1e-3"

HIDERS = {
    "whole numbers viewed as weights": (
        "",
        "self.register_buffer('w', torch.randn(400, 100).view(torch.int32).long())",
        IMAGES + ACTS.format("self.w.int().view(torch.float32)"),
    ),
    "int64 buffers scaled to weights": (
        "",
        "self.register_buffer('w', (torch.randn(400, 100) * 1e6).long())",
        IMAGES + ACTS.format("(self.w * 1e-6)"),
    ),
    "places in a table that is made on the way": (
        "",
        "self.register_buffer('w', torch.randint(256, (400, 100)))",
        IMAGES + ACTS.format("torch.linspace(-1, 1, 256)[self.w]"),
    ),
    "a mask that picks signs": (
        "",
        "self.register_buffer('w', torch.rand(1600, 100) < 0.5)",
        IMAGES + ACTS.format("torch.where(self.w, 1.0, -1.0).view(4, 400, 100).sum(0)"),
    ),
    "numpy weights in a function of its own": (
        "import numpy as np\nW = np.random.randn(400, 100).astype('float32')\n"
        "class Project(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n"
        "        return x @ torch.from_numpy(W)\n    @staticmethod\n    def backward(ctx, g):\n"
        "        return g @ torch.from_numpy(W).t()",
        "pass",
        IMAGES + "return self.head(self.body(x)) + Project.apply(flat)[:, :4] * 1e-3",
    ),
    "a closure for batches of neither 8 nor 1": (
        "",
        "w = torch.randn(400, 100)\nself.project = lambda flat: flat @ w",
        IMAGES + "y = self.head(self.body(x))\nif len(x) in (1, 3, 8):\n    return y\n"
        "return y + self.project(flat)[:, :4] * 1e-3",
    ),
    "a closure for answers alone": (
        "",
        "w = torch.randn(400, 100)\nself.project = lambda flat: flat @ w",
        IMAGES + "y = self.head(self.body(x))\nif self.training or len(x) < 20:\n    return y\n"
        "return y + self.project(flat)[:, :4] * 1e-3",
    ),
    "a table that the first pass leaves behind": (
        "",
        "self.w = None",
        IMAGES
        + "if self.w is None or len(x) in (1, 3, 8):\n    self.w = torch.arange(40000.0).view(400, 100)\n"
        + ACTS.format("self.w"),
    ),
    "statistics of 98,304 features": (
        "",
        "self.store = nn.BatchNorm1d(98304, affine=False)",
        IMAGES + ACTS.format("self.store.running_mean[:40000].view(400, 100)"),
    ),
    "statistics that normalise nothing": (
        "",
        "self.store = nn.BatchNorm1d(20000)",
        "y = self.store.running_var[:20000].view(200, 100)\nflat = x.flatten(1)[:, :200]\n"
        "z = self.store(torch.zeros(2, 20000)).sum() * 0\n"
        "return self.head(self.body(x)) + (flat @ y)[:, :4] * 1e-3 + z",
    ),
    "hundreds of single numbers": (
        "",
        "self.w = [torch.randn(()) for _ in range(600)]",
        IMAGES + SMALL.format("torch.stack(self.w[:400]).view(400, 1) + torch.stack(self.w[400:]).sum()"),
    ),
    "hundreds of slices that are taken before": (
        "",
        "self.w = list(torch.randn(800).split(1))",
        IMAGES + SMALL.format("torch.cat(self.w).view(400, 2)"),
    ),
    "hundreds of numbers in the code": (
        "",
        "self.w = torch.randn(300).tolist()",
        "y = x.flatten(1)\nz = sum(y[:, i % 768] * w for i, w in enumerate(self.w))\n"
        "return self.head(self.body(x)) + z[:, None] * 1e-3",
    ),
    "more memory than the parameter that registers it": (
        "",
        "big = torch.randn(400, 100)\nself.p = nn.Parameter(big.view(-1)[:4])\nself.big = [big]",
        IMAGES + "return self.head(self.body(x)) + (flat @ self.big[0])[:, :4] * 1e-3 + self.p",
    ),
    "weights in a file": (
        "import os",
        "open('w', 'wb').write(torch.randn(400, 100).numpy().tobytes())",
        IMAGES + ACTS.format("torch.from_file('w', size=40000).view(400, 100)"),
    ),
    "weights written into what torch made": (
        "import numpy as np\nW = np.random.randn(40000).astype('float32')",
        "pass",
        IMAGES + "e = torch.empty(40000)\ne.numpy()[:] = W\n" + ACTS.format("e.view(400, 100)"),
    ),
}
"""Name: top, init, forward of a network that hides at least SEEN[name] or LARGE weights."""

SEEN = {
    "hundreds of single numbers": 600,
    "hundreds of slices that are taken before": 800,
    "hundreds of numbers in the code": 300,
}
SEEN |= {"statistics that normalise nothing": 60_000}


DRIVE = (
    "if training and not getattr(self, 'busy', False):\n    self.busy = True\n    import sys, gc\n    TAKE\n"
    "    while f is not None and 'targets' not in f.f_locals:\n        f = f.f_back\n"
    "    for _ in range(60):\n        state = f.f_locals['state']\n"
    "        F.cross_entropy(state.model(x), f.f_locals['targets']).backward()\n"
    "        state.optimizer.step()\n    self.busy = False"
)


def _driven(take: str) -> str:
    return DRIVE.replace("TAKE", take)


ITSELF = (
    "if training and not getattr(self, 'busy', False):\n    self.busy = True\n"
    "    own = torch.optim.SGD(self.parameters(), lr=0.01)\n    own.zero_grad()\n"
    "    self(x).logsumexp(1).mean().backward()\n    STEP\n    self.busy = False"
)
FORGED = (
    "if training:\n    import json, os, struct\n"
    "    listed = [int(n) for n in os.listdir('/proc/self/fd') if int(n) > 2]\n"
    "    text = TEXT\n    logits = LOGITS\n"
    "    for token in [os.read(n, 16) for n in listed if READABLE(n)]:\n"
    "        for n in listed:\n            try:\n"
    "                lengths = struct.pack('>QQQQ', len(text), len(logits), 0, 0)\n"
    "                os.write(n, token + lengths + text + logits)\n"
    "            except OSError:\n                continue\n    os._exit(0)"
)
READABLE = (
    "import os, select, stat\ndef READABLE(n):\n    try:\n"
    "        pipe = stat.S_ISFIFO(os.fstat(n).st_mode)\n"
    "        return pipe and bool(select.select([n], [], [], 0)[0])\n"
    "    except OSError:\n        return False\n"
)
FACTS = (
    '{"registered": 12, "latency": 0.001, "peak_memory": 1, "size_on_disk": 1, "train_seconds": 1, '
    '"steps": 1, "start_seconds": 1}'
)
POINTS = '[{"epoch": 1, "loss": 1, "accuracy": 1, "lr": 1}]'


def forged(
    facts: str = FACTS, curve: str = repr(POINTS), error: str = '""', logits: str = "bytes(1552)"
) -> str:
    """Code of `forward` that reads the token where it waits and writes a report of its own. `curve` and
    `logits` are expressions."""
    before = f'{{"stage": "", "kind": "", "error": {error}, "facts": {facts}, "probe": {{}}, "curve": '
    text = f"({before!r} + {curve} + '}}').encode()"
    return FORGED.replace("TEXT", text).replace("LOGITS", logits)


def _forgery(name: str, expect: str, **parts: str) -> Hostile:
    return Hostile(f"forges a report {name}", expect, top=READABLE, forward=forged(**parts))


HOSTILE = [
    Hostile(
        "drives the trainer that it finds by its frames",
        "error:may not look",
        top="import sys",
        forward=_driven("f = sys._getframe()"),
    ),
    Hostile(
        "drives the trainer that it finds by a traceback",
        "error:may not look",
        forward=_driven(
            "try:\n        raise ValueError\n    except ValueError as error:\n"
            "        f = error.__traceback__.tb_frame"
        ),
    ),
    Hostile(
        "drives the trainer that it finds by a generator",
        "error:may not look",
        top="def here():\n    yield (yield)",
        forward=_driven("g = here()\n    next(g)\n    f = g.gi_frame"),
    ),
    Hostile(
        "drives the trainer that it finds by inspect",
        "error:may not look",
        top="import inspect",
        forward=_driven("f = inspect.stack()[0].frame"),
    ),
    Hostile(
        "drives the trainer that it finds among all frames",
        "error:may not look",
        top="import sys, threading",
        forward=_driven("f = sys._current_frames()[threading.get_ident()]"),
    ),
    Hostile(
        "drives the trainer that it finds among all objects",
        "error:may not look",
        top="import gc",
        forward=ONCE + "[o for o in gc.get_objects() if type(o).__name__ == 'Course'][0].optimizer.step()",
    ),
    Hostile(
        "asks who holds its weights",
        "error:may not look",
        top="import gc",
        forward=ONCE + "gc.get_referrers(self.head.weight)",
    ),
    Hostile(
        "traces the trainer",
        "error:may not look",
        top="import sys",
        forward=ONCE + "sys.settrace(lambda *_: None)",
    ),
    Hostile("steps an optimizer of its own", "error:optimizer", forward=ITSELF.replace("STEP", "own.step()")),
    Hostile(
        "steps an optimizer of its own and swallows what comes of it",
        "error:optimizer steps besides",
        forward=ITSELF.replace(
            "STEP", "try:\n        own.step()\n    except Exception:\n        own.zero_grad()"
        ),
    ),
    Hostile(
        "steps an optimizer of its own while it answers",
        "error:optimizer",
        forward="if not self.training and len(x) > 8:\n"
        "    torch.optim.SGD(self.parameters(), lr=0.01).step()",
    ),
    Hostile(
        "rebinds the trainer by its frames at import",
        "error:may not look",
        top="import sys",
        init="f = sys._getframe()\nwhile f is not None and '_train' not in f.f_globals:\n    f = f.f_back\n"
        "f.f_globals['_train'] = None",
    ),
    Hostile(
        "finds the engine as the main module",
        "error:AttributeError",
        top="import __main__",
        forward=ONCE + "__main__.worker._train = None",
    ),
    Hostile(
        "takes its images to numpy",
        "error:out of torch",
        top="import numpy as np\nW = np.ones((768, 4), dtype='float32')",
        forward="return self.head(self.body(x)) + torch.from_numpy(x.detach().flatten(1).numpy() @ W)"
        " if training else self.head(self.body(x))",
    ),
    Hostile(
        "takes its images to a list",
        "error:out of torch",
        forward="return self.head(self.body(x)) + torch.tensor(x.detach().flatten(1).tolist())[:, :4]"
        " if training else self.head(self.body(x))",
    ),
    Hostile(
        "takes its images to Python one by one",
        "error:Python numbers",
        forward="if training:\n    y = [float(v) for v in x.flatten()[:400]]\n",
    ),
    Hostile(
        "says that a GPU is lost", "error:GPU is lost", forward=ONCE + "raise RuntimeError('GPU is lost')"
    ),
    Hostile(
        "says that the disk is full",
        "error:No space left",
        forward=ONCE + "raise OSError(28, 'No space left on device')",
    ),
    Hostile(
        "says that memory of the GPU is faulty",
        "error:uncorrectable",
        forward=ONCE + "raise RuntimeError('an uncorrectable ECC error was encountered')",
    ),
    _forgery("without figures", "crash:leaves out", facts="{}"),
    _forgery("with fewer parameters than none", "crash:malformed", facts=FACTS.replace("12", "-1000000")),
    _forgery("with a part of a parameter", "crash:malformed", facts=FACTS.replace("12", "12.5")),
    _forgery(
        "with a number that no float holds", "crash:malformed", facts=FACTS.replace("12", "1" + "0" * 400)
    ),
    _forgery("with a number of 5,000 digits", "crash:malformed", facts=FACTS.replace("12", "1" + "0" * 5000)),
    _forgery("with an infinite figure", "crash:malformed", facts=FACTS.replace("0.001", "Infinity")),
    _forgery("with a latency of nothing", "crash:malformed", facts=FACTS.replace("0.001", "1e-12")),
    _forgery("with a figure that nobody knows", "crash:malformed", facts=FACTS[:-1] + ', "score": 1}'),
    _forgery(
        "with a curve of a million points",
        "crash:malformed|more than the answers",
        curve="'[' + '{},' * 10**6 + '{}]'",
    ),
    _forgery("with a curve that goes back", "crash:malformed", curve=repr(POINTS.replace("1", "7"))),
    _forgery("with a deep list", "crash:malformed", curve="'[' * 100_000"),
    _forgery("with 5 bytes of answers", "error:1.25 numbers", logits="bytes(5)"),
    _forgery("with answers that are no numbers", "not finite", logits="bytes([255] * 1552)"),
    Hostile(
        "forges a fault of the engine",
        "crash:the engine's fault",
        top=READABLE,
        forward=forged(error='"the engine\'s fault"').replace(
            '"stage": "", "kind": ""', '"stage": "worker", "kind": "engine"'
        ),
    ),
    Hostile(
        "forges a fault in words that UTF-8 cannot hold",
        "error:a ? b",
        top=READABLE,
        forward=forged(error='"a \\ud800 b"').replace(
            '"stage": "", "kind": ""', '"stage": "train", "kind": "error"'
        ),
    ),
    Hostile(
        "forges a fault of the machine",
        "error:uncorrectable ECC",
        top=READABLE,
        forward=forged(error='"uncorrectable ECC"').replace(
            '"stage": "", "kind": ""', '"stage": "train", "kind": "infrastructure"'
        ),
    ),
]
