"""JSON over HTTP to a server on this machine: no proxy, no retry, one answer or one exception."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from mmsearch.errors import StackError

# The environment's proxies are for the world outside; loopback is asked directly.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answered(StackError):  # noqa: N818 - it is an answer, only not the hoped-for one
    """The server answered with an error: `status` and the body's text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status
        self.text = text


def ask(url: str, body: object | None = None, timeout: float = 10.0) -> Any:
    """GET, or POST when there is a body, and the answer's JSON (None when it is empty).

    Raises Answered for a status from 400 up, OSError when no answer came, ValueError when it is not JSON.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})  # noqa: S310
    try:
        with _direct.open(request, timeout=timeout) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            raise Answered(error.code, error.read().decode(errors="replace")[:2000]) from error
    return json.loads(text) if text else None
