"""Connections to OpenSearch and Triton: opened on first use, shared by threads, closed once."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mmsearch.api.arguments import shown
from mmsearch.clients.credentials import Access, OpenSearchAccess, TritonAccess
from mmsearch.errors import ArgumentError

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from mmsearch.clients.triton import Encoder

A = TypeVar("A", bound=Access)
Auth = tuple[str, str] | str
"""a user and a password, or an API key"""
File = str | os.PathLike[str]
Certificate = File | tuple[File, File]
"""a PEM file with our certificate and its key, or one file for each of them"""
CREDENTIALS = ("USER", "PASSWORD", "PASSWORD_FILE", "API_KEY", "API_KEY_FILE", "AWS_REGION", "AWS_SERVICE")
"""variables of the environment that `auth` takes the place of"""


class Servers:
    """Addresses and credentials of the servers. Missing values come from the environment, as for the command
    line."""

    def __init__(
        self,
        url: str,
        triton: str,
        *,
        auth: Auth | None = None,
        ca_file: File | None = None,
        client_cert: Certificate | None = None,
        timeout: float = 60.0,
    ) -> None:
        scheme, separator, _ = url.rpartition("://") if isinstance(url, str) and url else ("?", "?", "")
        if separator and scheme not in ("http", "https"):
            raise ArgumentError(
                f"expected an OpenSearch URL such as http://localhost:9200, got {shown(url)}; give it with "
                "http:// or https://"
            )
        if not isinstance(triton, str) or not triton:
            raise ArgumentError(f"expected HOST:PORT or grpcs://HOST:PORT for Triton, got {shown(triton)}")
        if not timeout > 0:
            raise ArgumentError(f"expected a timeout in seconds above 0, got {timeout!r}")
        self.url = url
        self.triton = triton
        self.given = auth is not None or ca_file is not None or client_cert is not None
        """whether credentials or certificates were given here, and not by the environment"""
        self._credentials = _credentials(auth)
        self._files = _files(ca_file, client_cert)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._opensearch: OpenSearch | None = None
        self._encoder: Encoder | None = None
        self._closed = False
        if self.given:
            # Invalid arguments are reported at once; invalid environment variables only when they are used.
            self._opensearch_access().check(url)

    def opensearch(self) -> OpenSearch:
        """Return the client of OpenSearch. Raise ArgumentError after `close`, IngestError for bad
        credentials.
        """
        from mmsearch.clients.opensearch import connect

        with self._lock:
            self._require_open()
            if self._opensearch is None:
                self._opensearch = connect(self.url, self._opensearch_access(), timeout=self._timeout)
            return self._opensearch

    def encoder(self) -> Encoder:
        """Return the client of Triton. Raise as `opensearch` does."""
        from mmsearch.clients.triton import Encoder

        with self._lock:
            self._require_open()
            if self._encoder is None:
                self._encoder = Encoder(self.triton, timeout=self._timeout, access=self._access(TritonAccess))
            return self._encoder

    def close(self) -> None:
        """Close both connections; further calls do nothing."""
        with self._lock:
            self._closed = True
            if self._opensearch is not None:
                self._opensearch.close()
            if self._encoder is not None:
                self._encoder.close()
            self._opensearch = self._encoder = None

    def _opensearch_access(self) -> OpenSearchAccess:
        return replace(self._access(OpenSearchAccess), **self._credentials)

    def _access(self, kind: type[A]) -> A:
        environment: Mapping[str, str] = {
            name: value
            for name, value in os.environ.items()
            if not self._credentials or name not in {f"MMSEARCH_OPENSEARCH_{each}" for each in CREDENTIALS}
        }
        own = {f"MMSEARCH_{kind.server}_{name}": value for name, value in self._files.items()}
        return kind.from_environment({**environment, **own})

    def _require_open(self) -> None:
        if self._closed:
            raise ArgumentError("expected an open Client, got a closed one; make another")


def _credentials(auth: Auth | None) -> dict[str, str]:
    if auth is None:
        return {}
    if isinstance(auth, str) and auth:
        return {"api_key": auth}
    if isinstance(auth, tuple) and len(auth) == 2 and all(isinstance(part, str) and part for part in auth):
        return {"user": auth[0], "password": auth[1]}
    # The value may contain a secret, so it is not shown.
    raise ArgumentError(
        f"expected auth=(user, password) or an API key as a str, got {type(auth).__name__}; give one of both"
    )


def _files(ca_file: File | None, client_cert: Certificate | None) -> dict[str, str]:
    found = {"CA_FILE": _path("ca_file", ca_file)} if ca_file is not None else {}
    if client_cert is not None:
        pair = client_cert if isinstance(client_cert, tuple) else (client_cert, client_cert)
        if len(pair) != 2:
            raise ArgumentError(
                f"expected client_cert as a PEM file or as (certificate, key), got {len(pair)} files"
            )
        found["CLIENT_CERT"], found["CLIENT_KEY"] = (_path("client_cert", each) for each in pair)
    return found


def _path(name: str, file: File) -> str:
    if not isinstance(file, str | os.PathLike):
        raise ArgumentError(f"expected a path as {name}, got {shown(file)}; name a PEM file")
    return str(Path(file).expanduser())
