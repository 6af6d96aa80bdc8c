"""Close the whole network to a process, UDP and name servers included (Linux).

A network namespace of its own holds nothing but a loopback that nobody else hears. Where namespaces are not
to be had, or would come between a process and its GPU, a seccomp filter refuses new sockets other than those
of the local machine; https://docs.kernel.org/userspace-api/seccomp_filter.html.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import struct
import subprocess
import sys
from contextlib import suppress

_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 38, 4
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000 | 13
_AF_UNIX, _AF_NETLINK, _IO_URING_SETUP, _X32 = 1, 16, 425, 0x4000_0000
_MACHINES = {"x86_64": (0xC000_003E, 41, 317), "aarch64": (0xC000_00B7, 198, 277)}
_LIBC = ctypes.CDLL(None, use_errno=True)


def own_network() -> bool:
    """Move this process, which must have one thread only, into a network of its own, in which only loopback
    is up; False where the system does not allow it. The process gets capabilities there: take them away."""
    if sys.platform != "linux":
        return False
    user, group = os.geteuid(), os.getegid()
    if _LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    _LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    with suppress(OSError):  # without the map, it is nobody, to whom the same files are open
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        asked = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(handle, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
    return True


def refuse_sockets() -> bool:
    """Refuse new sockets but those of this machine (unix, netlink) to all threads of this process and what
    they start, for good; sockets that are open go on. False where the kernel has no seccomp for it."""
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        return False
    architecture, socket_call, seccomp = machine
    program = ctypes.create_string_buffer(_filter(architecture, socket_call))
    held = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(program)))
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return int(_LIBC.syscall(seccomp, _SET_MODE_FILTER, _ALL_THREADS, held)) == 0


def closed_by() -> str:
    """What closes the network to processes here: "namespace", "seccomp" or "". Tried in another process."""
    if sys.platform != "linux":
        return ""
    tried = subprocess.run(
        [sys.executable, "-I", "-S", __file__], capture_output=True, text=True, timeout=20, check=False
    )
    return tried.stdout.strip()


def _filter(architecture: int, socket_call: int) -> bytes:
    """BPF over struct seccomp_data: number at 0, architecture at 4, first argument at 16."""
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, 7, architecture),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 5, 0, _X32),
        (_EQUAL, 4, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 4, socket_call),
        (_LOAD, 0, 0, 16),
        (_EQUAL, 2, 0, _AF_UNIX),
        (_EQUAL, 1, 0, _AF_NETLINK),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    print("namespace" if own_network() else "seccomp" if refuse_sockets() else "")
