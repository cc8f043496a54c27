"""The connection to OpenSearch, and the classification of its failures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as LostConnectionError
from opensearchpy.exceptions import SerializationError, TransportError

from mmsearch.clients.causes import Verdict, described, repair, verdict
from mmsearch.clients.credentials import OpenSearchAccess
from mmsearch.clients.signing import signer
from mmsearch.clients.tls import untrusted
from mmsearch.errors import AwayError, CallError

DEFAULT_URL = "http://127.0.0.1:9200"
OVERLOADED = frozenset((429, 502, 503, 504))


def connect(
    url: str, access: OpenSearchAccess | None = None, *, timeout: float = 60.0, connections: int = 10
) -> OpenSearch:
    """Return a client for one URL. It verifies certificates and never retries; the caller decides when to
    retry.

    Raise IngestError when the credentials do not match the URL.
    """
    access = access or OpenSearchAccess.from_environment()
    access.check(url)
    # Its warnings on stderr repeat what our messages already say in one sentence.
    logging.getLogger("opensearch").addHandler(logging.NullHandler())
    settings: dict[str, Any] = {}
    if access.authorization():
        settings["headers"] = {"authorization": access.authorization()}
    elif access.aws_region:
        settings["http_auth"] = signer(access.aws_region, access.aws_service or "es")
    if url.startswith("https:"):
        settings |= {"verify_certs": True, "ssl_show_warn": False, "ca_certs": access.ca_file or None}
        if access.client_cert:
            settings |= {"client_cert": access.client_cert, "client_key": access.client_key}
    return OpenSearch(
        [url], timeout=timeout, max_retries=0, retry_on_timeout=False, pool_maxsize=connections, **settings
    )


class HttpError(CallError):
    """OpenSearch returned an error about the request: its status, and type and reason of the cause.

    `details` is the original error object, `asked` the method and path of the request.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        reason: str,
        *,
        details: Mapping[str, Any] | None = None,
        server: str = "OpenSearch",
        asked: str = "a request",
    ) -> None:
        super().__init__(f"{status} {kind}: {reason}")
        self.status = status
        self.kind = kind
        self.reason = reason
        self.details = details or {"type": kind, "reason": reason}
        self.server = server
        self.asked = asked

    def sentence(self) -> str:
        got = f"{self.status} {self.kind}: {self.reason}".rstrip(": ")
        return f"expected {self.server} to take {self.asked}, got {got}; {repair(self.status, self.kind)}"


def ask(
    client: OpenSearch,
    method: str,
    path: str,
    body: Any = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Send one request and return the parsed response.

    Raise AwayError when the node is unreachable or overloaded, UntrustedError when TLS fails, and HttpError
    for any other error.
    """
    try:
        return client.transport.perform_request(
            method, path, params=dict(params or {}), body=body, headers=dict(headers or {}) or None
        )
    except LostConnectionError as error:
        text = str(error.info if error.info is not None else error)
        raise untrusted(name(client), text) or AwayError(name(client), _cause(text)) from None
    except SerializationError as error:
        # The response was cut off; the request may or may not have been executed.
        raise AwayError(name(client), f"a response that is not JSON: {str(error)[:120]}") from None
    except TransportError as error:
        _explain(client, error, f"{method} {path.partition('?')[0]}")


def documents(
    client: OpenSearch, index: str, ids: Sequence[str], params: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return OpenSearch's entry for each id, found or not. Reads by id are real-time: they include documents
    that are not refreshed yet. Raise the errors of `ask`.
    """
    if not ids:
        return []
    found: dict[str, list[dict[str, Any]]] = ask(
        client, "POST", f"/{index}/_mget", {"ids": list(ids)}, params
    )
    return found["docs"]


def _explain(client: OpenSearch, error: TransportError, asked: str) -> NoReturn:
    status = int(error.status_code)
    kind, reason = str(error.error), ""
    details: Any = None
    if isinstance(error.info, dict):
        details = error.info.get("error")
        if isinstance(details, dict):
            inner, reason = described(details)
            kind = inner or kind
        elif details:
            reason = str(details)
    found = details if isinstance(details, dict) else {}
    if status in OVERLOADED or verdict(status, found) is Verdict.WAIT:
        why = f"HTTP {status} {kind}".strip()
        raise AwayError(name(client), f"{why}: {reason[:200]}" if reason else why) from None
    raise HttpError(
        status,
        kind,
        reason,
        details=found or None,
        server=name(client),
        asked=asked,
    ) from None


def name(client: OpenSearch) -> str:
    host = client.transport.hosts[0]
    return f"OpenSearch at {host.get('host')}:{host.get('port', '')}"


def _cause(text: str) -> str:
    """Return the cause of the failure without the client's wrapper."""
    for told, short in (
        ("Connection refused", "connection refused"),
        ("WRONG_VERSION_NUMBER", "a response without TLS"),
        ("timed out", "no response in time"),
        ("Name or service not known", "a host name that does not resolve"),
        ("Remote end closed", "a closed connection"),
    ):
        if told in text:
            return short
    return " ".join(text.split())[:160]
