"""The parts of this system that a training needs: libraries, programs and Python itself, no data."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from glob import escape, glob

_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd", "group", "hosts")
_SHARED = ("zoneinfo", "locale", "terminfo", "libdrm", "glvnd", "nvidia")
_PROGRAMS = ("bin", "sbin", "libexec", "include")
_LIBRARIES = ("lib", "lib64", "lib32", "libx32")
_IN_LIBRARIES = (
    "gcc",
    "clang",
    "llvm",
    "glibc",
    "locale",
    "ssl",
    "terminfo",
    "gconv",
    "engines",
    "ossl",
    "bfd",
    "compat-ld",
    "gold-ld",
    "binutils",
    "nvidia",
    "cuda",
    "wsl",
    "rocm",
    "openblas",
    "atlas",
    "blas",
    "lapack",
    "openmpi",
    "dri",
)
"""Beginnings of the names of folders beside the libraries that belong to them."""
_DEVICES = (
    "/sys/devices/pci*",
    "/usr/local/cuda*",
    "/opt/rocm*",
    "/opt/cuda*",
    "/opt/nvidia*",
    "/opt/intel*",
)
_NETWORK = ("/sys/class/net", "/sys/devices/virtual/net", "/sys/bus/pci/devices")
"""Names of network devices, which processes that train together (gloo) look for."""
_KERNEL = ("/proc", "/sys/devices/system", "/sys/kernel/mm", "/run/nvidia-persistenced", *_NETWORK)
_KERNEL_WITH_GPU = ("/sys/devices", "/sys/bus", "/sys/class", "/sys/module")


def system_places(gpu: bool) -> Iterator[str]:
    """Files and folders of the system that are needed to load libraries and to run a compiler; with `gpu`
    what drivers look at. Some may not exist."""
    yield from _KERNEL
    yield from _KERNEL_WITH_GPU if gpu else ()
    for base in ("/usr", "/usr/local", "/"):
        yield from (os.path.join(base, name) for name in (*_PROGRAMS[: 2 if base == "/" else 4], *_LIBRARIES))
    yield from (f"/usr/share/{name}" for name in _SHARED)
    yield from (f"/etc/{name}" for name in _ETC)
    for pattern in _DEVICES:
        yield from glob(pattern)
    yield from configured_libraries()
    yield from _store()


def python_places() -> Iterator[str]:
    """The interpreter, its own library, and what it is linked with."""
    for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix):
        yield from (os.path.join(prefix, name) for name in ("bin", "lib", "lib64", "pyvenv.cfg"))
    yield os.path.dirname(os.path.realpath(sys.executable))
    yield sysconfig.get_path("include")
    yield from library_folders()


def library_folders() -> tuple[str, ...]:
    """The folders of Python's own library; packages may lie in them."""
    return tuple({os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})


def foreign_in(place: str) -> list[str]:
    """What in `place`, a folder of libraries or Python's own, does not belong to it: packages, other
    languages, and tests."""
    if place in library_folders():
        names = ["site-packages", "dist-packages", "test"]
        return [os.path.join(place, name) for name in names if os.path.isdir(os.path.join(place, name))]
    if os.path.basename(place) not in _LIBRARIES:
        return []
    with os.scandir(place) as entries:
        folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    kept = {name for name in folders if name.startswith(_IN_LIBRARIES) or "-linux-" in name}
    return [os.path.join(place, name) for name in folders if name not in kept]


def libraries_on_path() -> Iterator[str]:
    """The libraries in the folders of LD_LIBRARY_PATH, one by one: what else is in these is not needed."""
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        if os.path.isabs(folder):
            yield from glob(os.path.join(escape(folder), "*.so*"))


def configured_libraries() -> Iterator[str]:
    """The folders that the system's loader is configured with besides its own."""
    for file in glob("/etc/ld.so.conf.d/*.conf"):
        with suppress(PermissionError), open(file, encoding="utf-8", errors="replace") as lines:
            yield from (line.strip() for line in lines if line.startswith("/"))


def _store(store: str = "/nix/store") -> Iterator[str]:
    """What lies in Nix's store, but for Python's packages, which come one by one."""
    for path in glob(os.path.join(store, "*")):
        if not glob(os.path.join(escape(path), "lib", "python3*", "site-packages", "*")):
            yield path
