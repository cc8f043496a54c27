from __future__ import annotations

import socket

import pytest

from mmsearch.errors import StackError
from mmsearch.stack.ports import HOST, free, require_free, taken


def test_free_ports_differ_and_can_be_listened_on() -> None:
    found = free(20)
    assert len(set(found)) == 20
    assert not any(taken(port) for port in found)


def test_a_listening_server_takes_its_port_and_the_error_names_the_option() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert taken(port)
        with pytest.raises(StackError, match=f"expected port {port} to be free for OpenSearch.*--http-port"):
            require_free(port, "OpenSearch", "--http-port")
    require_free(port, "OpenSearch", "--http-port")
