"""Networks that lie, steal, break out or break down, each with the outcome it must come to.

`expect` is "scored", or the kind of `Failed`, optionally with a part of its reason after a colon, of which
there may be several, divided by "|": what is denied by one sandbox is not to be seen in another.
`landlock` is the version from which the kernel denies it; on an older one it would do harm, and is not run.
`modes` are those of `hostile.modes` in which it holds.
PLACES in the code (SECRET_FILE, PORT, ...) are filled in by the test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hostile:
    name: str
    expect: str
    top: str = ""
    init: str = "pass"
    forward: str = "pass"
    landlock: int = 0
    modes: tuple[str, ...] = ("bwrap", "landlock")


ONCE = "if training:\n    "

HOSTILE = [
    Hostile("loops in forward", "timeout", forward="if training:\n    while True:\n        pass"),
    Hostile("loops at import", "timeout", top="while True:\n    pass"),
    Hostile(
        "swallows SIGTERM",
        "timeout",
        top="import signal, time",
        forward="if training:\n    for number in (1, 2, 15):\n"
        "        signal.signal(number, lambda *_: None)\n    while True:\n        time.sleep(1)",
    ),
    Hostile("exits with 9", "crash:status 9", top="import os", forward=ONCE + "os._exit(9)"),
    Hostile(
        "dies of a segmentation fault",
        "crash:SIGSEGV",
        top="import ctypes",
        forward=ONCE + "ctypes.string_at(0)",
    ),
    Hostile("aborts", "crash:SIGABRT", top="import os", forward=ONCE + "os.abort()"),
    Hostile(
        "prints a score and exits with 0",
        "crash:status 0",
        top="import os, sys",
        forward="if training:\n    print('{\"accuracy\": 1.0}')\n    sys.stdout.flush()\n    os._exit(0)",
    ),
    Hostile("leaves by SystemExit", "error:SystemExit", top="import sys", forward=ONCE + "sys.exit(0)"),
    Hostile("raises KeyboardInterrupt", "error:KeyboardInterrupt", forward=ONCE + "raise KeyboardInterrupt"),
    Hostile("recurses without end", "error:RecursionError", forward=ONCE + "self.forward(x)"),
    Hostile(
        "raises when it is deleted",
        "scored",
        top="class Trap:\n    def __del__(self):\n        raise RuntimeError('deleted')",
        forward="Trap()",
    ),
    Hostile(
        "answers with NaN",
        "not finite",
        forward="if not self.training and len(x) > 8:\n    x = x * float('nan')",
    ),
    Hostile("trains to infinity", "not finite", forward=ONCE + "x = x * float('inf')"),
    Hostile(
        "answers with too few rows",
        "error:numbers",
        forward="if not self.training and len(x) > 8:\n    x = x[:5]",
    ),
    Hostile("answers with text", "error:without a tensor", forward=ONCE + "return 'class 3'"),
    Hostile(
        "asks for more memory than it may have",
        "out of memory",
        forward=ONCE + "self.hoard = bytearray(40 * 2**30)",
    ),
    Hostile("builds a giant", "out of memory:GiB to train", init="self.head = nn.Linear(300_000, 300_000)"),
    Hostile(
        "prints 200 MB",
        "scored",
        forward="if training and not hasattr(self, 'said'):\n    self.said = True\n"
        "    for _ in range(200):\n        print('x' * 2**20)",
    ),
    Hostile(
        "fills a file without end",
        "error:OSError",
        forward=ONCE
        + "file = open('big', 'wb')\n    for _ in range(2000):\n        file.write(bytes(2**20))",
    ),
    Hostile(
        "finds a key in the environment",
        "scored",
        top="import os\nassert not [k for k in os.environ if 'KEY' in k or 'SECRET' in k], os.environ\n"
        "assert not [v for v in os.environ.values() if 'secret' in v], os.environ",
    ),
    Hostile(
        "reads the environment of its parents",
        "error:PermissionError|FileNotFoundError",
        landlock=1,
        top="import os",
        forward=ONCE + "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    ),
    Hostile(
        "reads the engine's memory",
        "error:PermissionError|FileNotFoundError",
        landlock=1,
        forward=ONCE + "open('/proc/ENGINE_PID/mem', 'rb').read(1)",
    ),
    Hostile(
        "reads a file of the user",
        "error:PermissionError|FileNotFoundError",
        landlock=1,
        forward=ONCE + "open('SECRET_FILE').read()",
    ),
    Hostile(
        "overwrites a file of the user",
        "error:PermissionError|FileNotFoundError|Read-only file system",
        landlock=1,
        forward=ONCE + "open('SECRET_FILE', 'w')",
    ),
    Hostile(
        "looks into other jobs",
        "error:PermissionError",
        landlock=1,
        top="import os",
        forward=ONCE + "os.listdir('..')",
    ),
    Hostile(
        "calls home",
        "error:PermissionError",
        landlock=4,
        top="import socket",
        forward=ONCE + "socket.create_connection(('127.0.0.1', PORT), timeout=2)",
    ),
    Hostile(
        "tells a neighbour by UDP",
        "error:PermissionError|unreachable|UDP went nowhere",
        landlock=1,
        top="import socket",
        forward=ONCE
        + "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'labels', ('127.0.0.1', PORT))\n"
        "    raise OSError('UDP went nowhere')",
    ),
    Hostile(
        "asks a name server",
        "error:gaierror",
        landlock=1,
        top="import socket",
        forward=ONCE + "socket.getaddrinfo('labels.example.com', 443)",
    ),
    Hostile(
        "sends raw packets",
        "error:PermissionError",
        landlock=1,
        top="import socket",
        forward=ONCE + "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    ),
    Hostile(
        "kills the process that started it",
        "error:PermissionError|ProcessLookupError",
        landlock=6,
        top="import os",
        forward=ONCE + "os.kill(os.getppid() or ENGINE_PID, 9)",
    ),
    Hostile(
        "kills the engine",
        "error:PermissionError|ProcessLookupError",
        landlock=6,
        top="import os",
        forward=ONCE + "os.kill(ENGINE_PID, 9)",
    ),
    Hostile(
        "leaves a sleeper behind that holds its output",
        "scored",
        top="import subprocess",
        forward="if training:\n    subprocess.Popen(['sleep', 'NAP'])",
    ),
    Hostile(
        "hides a daemon in a session of its own",
        "scored",
        top="import os, time",
        forward="if training and os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.execvp('sleep', ['sleep', 'NAP'])\n    os._exit(0)",
    ),
    Hostile(
        "forks a crowd and waits for it",
        "timeout",
        top="import os",
        forward="if training:\n    for _ in range(60):\n        if os.fork() == 0:\n"
        "            os.execvp('sleep', ['sleep', 'NAP'])\n    os.wait()",
    ),
    Hostile(
        "writes into every descriptor",
        "crash:no report",
        top="import os",
        forward="if training:\n    for number in range(3, 4096):\n        try:\n"
        "            os.write(number, b'accuracy=1')\n        except OSError:\n            continue",
    ),
    Hostile(
        "floods every descriptor",
        "crash:more than the answers",
        top="import os",
        forward="if training:\n    for number in range(3, 4096):\n        try:\n"
        "            for _ in range(8):\n                os.write(number, bytes(2**20))\n"
        "        except OSError:\n            continue",
    ),
    Hostile("closes every descriptor", "crash", top="import os", forward=ONCE + "os.closerange(0, 4096)"),
    Hostile(
        "replaces how processes end",
        "scored",
        top="import os\nos._exit = os.write = lambda *_: None",
    ),
    Hostile(
        "keeps a thread alive",
        "scored",
        top="import threading, time",
        init="threading.Thread(target=time.sleep, args=(60,), daemon=False).start()",
    ),
    Hostile(
        "rewrites the trainer's loss and accuracy",
        "scored",
        top="import numpy as np\nimport ge_engine.evaluation.train.trainer as trainer\n"
        "trainer.require_finite = lambda *_: None\nnp.argmax = lambda *_: 0\n"
        "torch.Tensor.argmax = lambda self, *_: torch.zeros(len(self), dtype=torch.long)",
        forward="return self.head(self.body(x)) * 0 + torch.tensor([1.0, 0.0, 0.0, 0.0])",
    ),
    Hostile(
        "wipes the shared data",
        "error:may not look",
        top="import gc",
        forward="if training:\n    for thing in gc.get_objects():\n"
        "        if type(thing) is torch.Tensor and thing.dtype == torch.uint8:\n            thing.zero_()",
    ),
    Hostile(
        "uses up its stack",
        "crash:SIGSEGV",
        top="import sys, threading",
        forward="if training:\n    deep = ()\n    for _ in range(10**6):\n"
        "        deep = (deep,)\n    hash(deep)",
    ),
]
