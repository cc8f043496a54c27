"""JSON over HTTP to a server on this machine, without proxy and without retries."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from mmsearch.errors import StackError

# Proxies of the environment must not be used for loopback.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answered(StackError):  # noqa: N818 - it is an answer, only not the hoped-for one
    """The server returned an error: `status` and the text of the body."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status
        self.text = text


def ask(url: str, body: object | None = None, timeout: float = 10.0) -> Any:
    """Send GET, or POST if there is a body, and return the parsed JSON (None if the response is empty).

    Raise Answered for a status >= 400, OSError when there is no response, ValueError when it is not JSON.
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
