"""The connection to OpenSearch: address, credentials and TLS, and its failures told apart."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as LostConnectionError
from opensearchpy.exceptions import SerializationError, TransportError

from .errors import IngestError
from .waiting import AwayError

DEFAULT_URL = "http://127.0.0.1:9200"
OVERLOADED = frozenset((429, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials, never shown: user and password, or an API key; files win over values."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Access:
        """MMSEARCH_OPENSEARCH_USER, _PASSWORD or _PASSWORD_FILE, _API_KEY or _API_KEY_FILE, _CA,
        _CERT, _KEY."""
        name = "MMSEARCH_OPENSEARCH_"

        def secret(which: str) -> str:
            file = environment.get(f"{name}{which}_FILE")
            if not file:
                return environment.get(f"{name}{which}", "")
            try:
                return Path(file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise IngestError(
                    f"expected a readable file in {name}{which}_FILE, got {file}: {error.strerror}"
                ) from None

        return cls(
            user=environment.get(f"{name}USER", ""),
            password=secret("PASSWORD"),
            api_key=secret("API_KEY"),
            ca=environment.get(f"{name}CA", ""),
            certificate=environment.get(f"{name}CERT", ""),
            key=environment.get(f"{name}KEY", ""),
        )


def connect(
    url: str, access: Access | None = None, *, timeout: float = 60.0, connections: int = 10
) -> OpenSearch:
    """A client for one URL that verifies certificates and never retries by itself: who calls it knows
    better when."""
    access = access or Access.from_environment()
    # Its warnings repeat, on stderr, what our own messages say in one sentence.
    logging.getLogger("opensearch").addHandler(logging.NullHandler())
    settings: dict[str, Any] = {}
    if access.api_key:
        settings["headers"] = {"authorization": f"ApiKey {access.api_key}"}
    elif access.user:
        settings["http_auth"] = (access.user, access.password)
    if url.startswith("https:"):
        settings["verify_certs"] = True
        settings["ssl_show_warn"] = False
        if access.ca:
            settings["ca_certs"] = access.ca
        if access.certificate:
            settings["client_cert"] = access.certificate
            settings["client_key"] = access.key or None
    return OpenSearch(
        [url], timeout=timeout, max_retries=0, retry_on_timeout=False, pool_maxsize=connections, **settings
    )


class HttpError(Exception):
    """OpenSearch answered with an error that is about the request: its status, type and reason."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(f"{status} {kind}: {reason}")
        self.status = status
        self.kind = kind
        self.reason = reason


def ask(
    client: OpenSearch,
    method: str,
    path: str,
    body: Any = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """One request; the parsed answer. Raises AwayError when the node is away or overloaded, else
    HttpError."""
    try:
        return client.transport.perform_request(
            method, path, params=dict(params or {}), body=body, headers=dict(headers or {}) or None
        )
    except LostConnectionError as error:
        raise AwayError(_name(client), _cause(error)) from None
    except SerializationError as error:
        # An answer cut in its middle; what was asked may or may not have been done.
        raise AwayError(_name(client), f"an answer that is no JSON: {str(error)[:120]}") from None
    except TransportError as error:
        _told(client, error)


def _told(client: OpenSearch, error: TransportError) -> NoReturn:
    status = int(error.status_code)
    kind, reason = str(error.error), ""
    if isinstance(error.info, dict):
        details = error.info.get("error")
        if isinstance(details, dict):
            kind, reason = str(details.get("type", kind)), str(details.get("reason", ""))
        elif details:
            reason = str(details)
    if status in OVERLOADED:
        raise AwayError(_name(client), f"HTTP {status} {kind}".strip()) from None
    raise HttpError(status, kind, reason) from None


def _name(client: OpenSearch) -> str:
    host = client.transport.hosts[0]
    return f"OpenSearch at {host.get('host')}:{host.get('port', '')}"


def _cause(error: LostConnectionError) -> str:
    """What stood in the way, without the client's wrapping."""
    text = str(error.info if error.info is not None else error)
    for told, short in (
        ("Connection refused", "connection refused"),
        ("CERTIFICATE_VERIFY_FAILED", "a certificate that does not verify; set MMSEARCH_OPENSEARCH_CA"),
        ("timed out", "no answer in time"),
        ("Name or service not known", "a host name that does not resolve"),
        ("Remote end closed", "a closed connection"),
    ):
        if told in text:
            return short
    return " ".join(text.split())[:160]
