"""JSON over HTTP to a server under test; a refusal is an HTTPError, whose status a test may ask for."""

from __future__ import annotations

import json
import urllib.request
from typing import Any


def ask(url: str, method: str, path: str, body: object = None) -> Any:
    """The answer's JSON, None where it is empty. Raises urllib.error.HTTPError from 400 up."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        text = answer.read()
    return json.loads(text) if text else None
