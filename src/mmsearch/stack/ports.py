"""Ports of the loopback address."""

from __future__ import annotations

import socket

from mmsearch.errors import StackError

HOST = "127.0.0.1"


def free(count: int) -> list[int]:
    """`count` different ports that nobody listens on, as the kernel gives them."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def taken(port: int) -> bool:
    """Whether a server could not listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: what lingers in TIME_WAIT does not count, what listens does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            return False
        except OSError:
            return True


def require_free(port: int, server: str, option: str) -> None:
    """Raise StackError when somebody else listens on the port."""
    if taken(port):
        raise StackError(
            f"expected port {port} to be free for {server}, got another server listening there; "
            f"repair: stop it, or choose another port with {option}"
        )
