"""Networks that fill the disk, in ways that a count of the files in their folder does not see."""

from __future__ import annotations

from tests.hostile.candidates import ONCE, Hostile
from tests.hostile.modes import APART, MODES

STORE = """\
import ctypes, mmap, os, platform, socket, threading, time
libc = ctypes.CDLL(None)
def store(number):
    file = open(f'f{number}', 'w+b')
    for _ in range(5):
        file.write(bytes(10 * 2**20))
    file.flush()
    return file
def unname(file):
    os.unlink(file.name)
    return file
def fill():
    kept = [unname(store(number)) for number in range(8)]
    time.sleep(60)
def leave_the_first():
    threading.Thread(target=fill).start()
    libc.syscall(60 if platform.machine() == "x86_64" else 93, 0)
def adopted(hide):
    ended, held = os.pipe()
    if os.fork() == 0:
        parent = os.getpid()
        if os.fork():
            os._exit(0)
        while os.getppid() == parent:
            time.sleep(0.01)
        os.setsid()
        return libc.prctl(4, 0 if hide else 1, 0, 0, 0) == 0
    os.close(held)
    os.read(ended, 1)
    raise OSError("the orphan was ended")
"""
FILLED = "crash:filled its scratch folder"
KEPT = "kept.append(unname(store(number)))"
MAPPED = "file = store(number)\nkept.append(mmap.mmap(file.fileno(), 4096))\nunname(file).close()"
WITHOUT_NAMESPACES = tuple(mode for mode in MODES if mode not in APART)


def hoard(
    name: str,
    each: str,
    first: str = "pass",
    expect: str = FILLED,
    modes: tuple[str, ...] = ("bwrap", "landlock"),
) -> Hostile:
    """A network that stores eight times 50 MB in the way of `each`, after `first`, and goes on until it is
    seen."""
    first = first.replace("\n", "\n    ")
    body = each.strip("\n").replace("\n", "\n        ")
    forward = f"{ONCE}kept = []\n    {first}\n    for number in range(8):\n        {body}\n    time.sleep(60)"
    return Hostile(name, expect, top=STORE, forward=forward, modes=modes)


HOSTILE = [
    Hostile(
        "nests folders without end",
        "crash:filled its scratch folder",
        top="import os",
        forward=ONCE + "while True:\n        os.mkdir('d')\n        os.chdir('d')",
    ),
    Hostile(
        "leaves a path that is too long",
        "scored",
        top="import os",
        forward="if training and not hasattr(self, 'made'):\n    self.made = True\n"
        "    for _ in range(40):\n        os.mkdir('d' * 200)\n        os.chdir('d' * 200)",
    ),
    Hostile(
        "leaves names that are no text",
        "scored",
        top="import os",
        forward="if training and not hasattr(self, 'made'):\n    self.made = True\n"
        "    for name in (b'\\xff\\xfe', b'\\n', b'-rf', b'.removed-1-0'):\n        os.mkdir(name)\n"
        "        os.chdir(name)\n        open(b'\\xe9', 'wb').close()",
    ),
    hoard("fills folders in folders", "os.mkdir('d')\nos.chdir('d')\nstore(number)"),
    hoard("fills files that have lost their names", KEPT),
    hoard("fills files that are only mapped", MAPPED),
    hoard(
        "fills files in a folder that is named like memory",
        MAPPED,
        "os.makedirs('a /dev/zero')\nos.chdir('a /dev/zero')",
    ),
    *(
        hoard(f"fills files of an orphan{more}", KEPT, f"adopted({hides})", modes=APART)
        for more, hides in (("", False), (" that hides them", True))
    ),
    *(
        hoard(
            f"fills files of an orphan{more}, without a namespace",
            KEPT,
            f"adopted({hides})",
            "error:the orphan was ended",
            WITHOUT_NAMESPACES,
        )
        for more, hides in (("", False), (" that hides them", True))
    ),
    hoard(
        "fills files of a process whose first thread has ended",
        "pass",
        "os.fork() or leave_the_first()",
    ),
    hoard(
        "fills files on their way through a socket",
        "file = store(number)\nos.unlink(file.name)\nsocket.send_fds(kept[0], [b'x'], [file.fileno()])",
        "kept = socket.socketpair()",
        "error:PermissionError",
    ),
    Hostile(
        "fills the disk by one call",
        "error:OSError",
        top=STORE,
        forward=ONCE + "libc.fallocate(os.open('f', os.O_CREAT | os.O_RDWR), 1, ctypes.c_long(0), "
        "ctypes.c_long(2**30)) and os.posix_fallocate(os.open('g', os.O_CREAT | os.O_RDWR), 0, 2**20)",
    ),
]
