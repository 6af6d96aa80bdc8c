"""Frames between the engine, the fork server and workers: a length, a body, and file descriptors."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence

_LENGTH = struct.Struct(">I")
FRAME_LIMIT = 256 * 2**20
DESCRIPTORS = 16


def send_frame(sock: socket.socket, body: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send `body`; copies of `descriptors` arrive in the other process. Without any, it makes only calls that
    candidates may make: a worker says that it begins when it is confined already."""
    head = _LENGTH.pack(len(body))
    if descriptors:
        socket.send_fds(sock, [head], list(descriptors))
    else:
        sock.sendall(head)
    sock.sendall(body)


def receive_frame(sock: socket.socket) -> tuple[bytes, list[int]]:
    """The next body and its descriptors (not inheritable).

    Raises:
        EOFError: the other side is gone.
    """
    head, descriptors, _, _ = socket.recv_fds(sock, _LENGTH.size, DESCRIPTORS)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    head += _exactly(sock, _LENGTH.size - len(head)) if head else b""
    if not head:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    if length > FRAME_LIMIT:
        raise EOFError
    return _exactly(sock, length), descriptors


def _exactly(sock: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = sock.recv(min(count, 2**20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
