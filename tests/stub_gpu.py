"""GPUs that no machine has: torch finds them in the engine, and in a worker a stub stands for the driver.

The stub does what CUDA's driver does while it starts and a sandbox may refuse: a thread gets its name by way
of /proc (driver 570 and later; https://github.com/nolabs-ai/nono/issues/924), memory without a name is made,
a socket is bound. Processes that train together meet by gloo.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from ge_engine.evaluation.fork_server import starting

NAMES_A_THREAD = """\
import os, socket, threading
done = threading.Event()
thread = threading.Thread(target=done.wait, daemon=True)
thread.start()
name = os.open(f"/proc/self/task/{thread.native_id}/comm", os.O_RDWR)
os.write(name, b"cuda-EvtHandlr")
assert os.pread(name, 99, 0) == b"cuda-EvtHandlr\\n"
done.set()
os.close(os.memfd_create("cuda"))
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind("")
"""
"""What the driver does; raises PermissionError where it is refused."""
STARTS = f"driver = lambda: exec({NAMES_A_THREAD!r}, {{}})"
LOST = "def driver():\n    raise process_group_error('CUDA error: no CUDA-capable device is detected')"
STUB = """\
import gc
gc.disable()
import torch.distributed as dist
from ge_engine.evaluation.worker import gpu, process_group
process_group_error = gpu._unusable
DRIVER
def join(rank, options):
    driver()
    dist.init_process_group("gloo", **options)
process_group.require_gpu, process_group._join_on_gpu = driver, join
from ge_engine.evaluation.fork_server import server
server.main()
"""


@contextmanager
def gpus_that_are_not_there(*names: str, driver: str = STARTS) -> Iterator[None]:
    """Have torch find GPUs of these `names` in this process, and every worker start `driver`."""
    begin = starting.command
    stub = STUB.replace("DRIVER", driver)

    def stubbed(descriptor: int, *imports: str) -> list[str]:
        command = begin(descriptor, *imports)
        at = command.index("ge_engine.evaluation.fork_server") - 1
        return [*command[:at], "-c", stub, *command[at + 2 :]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", ",".join(names))
        patch.setattr(torch.cuda, "is_available", lambda: bool(names))
        patch.setattr(torch.cuda, "device_count", lambda: len(names))
        patch.setattr(starting, "command", stubbed)
        yield
