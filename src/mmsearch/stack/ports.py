"""Ports of the loopback address."""

from __future__ import annotations

import socket

from mmsearch.errors import StackError

HOST = "127.0.0.1"


def free(count: int) -> list[int]:
    """Return `count` different free ports, assigned by the kernel."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def taken(port: int) -> bool:
    """Return whether a server cannot listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # SO_REUSEADDR as servers set it: connections in TIME_WAIT do not count, listening sockets do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            return False
        except OSError:
            return True


def require_free(port: int, server: str, option: str) -> None:
    """Raise StackError when another process listens on the port."""
    if taken(port):
        raise StackError(
            f"expected port {port} to be free for {server}, got another server listening there; "
            f"repair: stop it, or choose another port with {option}"
        )
