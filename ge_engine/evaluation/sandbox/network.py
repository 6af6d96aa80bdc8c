"""Close the whole network to a process, UDP and name servers included (Linux).

A network namespace of its own holds nothing but a loopback that nobody else hears. Where namespaces are not
available, or would come between a process and its GPU, the filter of `seccomp` alone refuses new sockets.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys

from ge_engine.evaluation.sandbox import limits, namespaces, seccomp

_NEW_IPC, _NEW_NETWORK = 0x800_0000, 0x4000_0000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def own_network() -> bool:
    """Move this process, which must have one thread only, into a network of its own, in which only loopback
    is up, with shared memory and message queues of its own; False where the system does not allow it. The
    process gets capabilities there: take them away."""
    if not limits.LINUX or not namespaces.own_user(_NEW_NETWORK | _NEW_IPC):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        asked = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(handle, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
    return True


def refuse_sockets() -> bool:
    """Refuse new sockets, all but connected pairs, to all threads of this process and what they start, for
    good; sockets that are open go on. False where the kernel has no seccomp for it."""
    return seccomp.hold(seccomp.of_candidate(seccomp.WITHIN, refused=seccomp.NO_SOCKETS))


def closed_by() -> str:
    """What closes the network to processes here: "namespace", "seccomp" or "". Tried in another process."""
    if not limits.LINUX:
        return ""
    command = [sys.executable, "-P", "-m", "ge_engine.evaluation.sandbox.network"]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return tried.stdout.strip()


if __name__ == "__main__":
    print("namespace" if own_network() else "seccomp" if refuse_sockets() else "")
