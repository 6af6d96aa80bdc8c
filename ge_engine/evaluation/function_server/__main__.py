"""`python -P -m ge_engine.evaluation.function_server DESCRIPTOR TARGET PATH`, begun by `client`.

It loads the function TARGET where `sys.argv` names the candidate PATH, which is not there, and answers
{"refused", "files"}: why it cannot serve, "" where it can. A fork returns from `main` by making its call, so
that it ends as any Python program does: tracebacks, exit statuses and `atexit` are Python's.
"""

from __future__ import annotations

import gc
import json
import os
import random
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable

from ge_engine.agents.own_memory import hide_memory
from ge_engine.evaluation import function
from ge_engine.evaluation.function_server.loading import Loaded, Stamps, load, stamps
from ge_engine.evaluation.function_server.server import Call, FunctionServer
from ge_engine.evaluation.protocol.frames import send_frame
from ge_engine.evaluation.sandbox.limits import adopt_orphans

MOST_SAID = 2**20
"""Bytes of what loading prints that are repeated in each evaluation's output."""


def main() -> None:
    sock, target, path = socket.socket(fileno=int(sys.argv[1])), sys.argv[2], sys.argv[3]
    sock.set_inheritable(False)
    began, workdir, folder = dict(os.environ), os.getcwd(), os.path.dirname(path)
    sys.path.insert(0, workdir)
    sys.argv = words = [path]
    loaded = _loaded(sock, target, folder)
    adopt_orphans()
    hide_memory(True)
    gc.collect()
    gc.freeze()
    call = FunctionServer(sock, _said()).serve()
    if call is None:
        os._exit(0)
    hide_memory(False)
    if sys.argv is words:
        sys.argv[0] = call.arguments[1]
    _move(call, began, workdir, folder)
    _draw(loaded)
    function.call(loaded.function, call.arguments)


def _loaded(sock: socket.socket, target: str, folder: str) -> Loaded:
    """The function, told of to the engine. Leaves this process where it is not to be forked."""
    try:
        loaded = load(target, folder)
    except BaseException as error:
        traceback.print_exc()
        _answer(sock, f"loading it once fails: {type(error).__name__}: {error}"[:400], _file(target))
        os._exit(1)
    sys.stdout.flush()
    sys.stderr.flush()
    _answer(sock, loaded.refused, loaded.files)
    if loaded.refused:
        os._exit(1)
    return loaded


def _answer(sock: socket.socket, refused: str, files: Stamps) -> None:
    send_frame(sock, json.dumps({"refused": refused, "files": files}).encode())


def _file(target: str) -> Stamps:
    place = target.rpartition(":")[0]
    return stamps(iter([place] if place.endswith(".py") else []))


def _said() -> tuple[bytes, bytes]:
    """What loading has printed, read from the files that it was printed to."""
    out, err = (os.pread(number, MOST_SAID, 0) for number in (1, 2))
    return out, err


def _move(call: Call, began: dict[str, str], workdir: str, folder: str) -> None:
    """Take the call's variables and its folder, but for what the module itself has changed."""
    for name, value in call.environment.items():
        if os.environ.get(name) == began.get(name) != value:
            os.environ[name] = value
    if os.getcwd() == workdir != call.workdir:
        os.chdir(call.workdir)
        sys.path[:] = [call.workdir if place == workdir else place for place in sys.path]
    if tempfile.tempdir and tempfile.tempdir.startswith(folder):
        tempfile.tempdir = None


def _draw(loaded: Loaded) -> None:
    """Begin random numbers as a new process would: where the module has seeded them, from there, else anew.
    A fork has begun those of `random` anew itself. Torch's begin alike in every process."""
    if loaded.drawing is not None:
        random.setstate(loaded.drawing)
    numbers = sys.modules.get("numpy.random")
    if numbers is not None and numbers.get_bit_generator().seed_seq is not None:
        seed: Callable[[], None] = numbers.seed
        seed()


if __name__ == "__main__":
    main()
