"""Access to a server from the environment: certificates, and credentials that are never printed."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, TypeVar
from urllib.parse import urlsplit

from mmsearch.clients.keyring import PREFIX, from_keyring
from mmsearch.errors import IngestError

A = TypeVar("A", bound="Access")
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True)
class Access:
    """TLS files of one connection in PEM format: trusted authorities, client certificate and key.

    Verification cannot be turned off.
    """

    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""

    server: ClassVar[str] = ""
    """the part of the environment variables that names this server"""
    secrets: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def from_environment(cls: type[A], environment: Mapping[str, str] = os.environ) -> A:
        """Read every field from MMSEARCH_<SERVER>_<FIELD>.

        The three TLS files may also be given by MMSEARCH_<FIELD> for all servers. A secret may also come from
        the file in MMSEARCH_<SERVER>_<FIELD>_FILE, or from the keyring if the value is keyring:SERVICE/NAME.
        Raise IngestError when a file cannot be read; the message never contains a secret.
        """
        found = {each.name: cls._value(each.name, environment) for each in fields(cls)}
        for name in ("ca_file", "client_cert", "client_key"):
            found[name] = found[name] or environment.get(f"MMSEARCH_{name.upper()}", "")
            _readable(name, found[name])
        if bool(found["client_cert"]) != bool(found["client_key"]):
            got, missing = ("certificate", "key") if found["client_cert"] else ("key", "certificate")
            raise IngestError(
                f"expected a client certificate and its key, got only the {got}; "
                f"name the {missing} by --client-{'key' if missing == 'key' else 'cert'}"
            )
        return cls(**found)

    @classmethod
    def _value(cls, name: str, environment: Mapping[str, str]) -> str:
        variable = f"MMSEARCH_{cls.server}_{name.upper()}"
        file = environment.get(f"{variable}_FILE") if name in cls.secrets else None
        if not file:
            value = environment.get(variable, "").strip()
            if name in cls.secrets and value.startswith(PREFIX):
                return from_keyring(variable, value)
            return value
        try:
            secret = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
            raise IngestError(
                f"expected a secret in the file that {variable}_FILE names, got {file}: {why}; "
                "name a readable file of one line"
            ) from None
        if not secret or not secret.isprintable():
            raise IngestError(
                f"expected one line in the file that {variable}_FILE names, got "
                f"{'none' if not secret else 'several'} in {file}; write the secret alone into it"
            )
        return secret


@dataclass(frozen=True, slots=True)
class OpenSearchAccess(Access):
    """Credentials of OpenSearch, one of: user and password, an API key, or the AWS region for signed
    requests.

    AWS keys come from the standard sources (environment, profile, role), with the extra `aws`.
    """

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    aws_region: str = ""
    aws_service: str = ""

    server: ClassVar[str] = "OPENSEARCH"
    secrets: ClassVar[tuple[str, ...]] = ("password", "api_key")

    @property
    def kinds(self) -> list[str]:
        """Return the names of the credentials that were given."""
        given = (("a user", self.user), ("an API key", self.api_key), ("an AWS region", self.aws_region))
        return [name for name, value in given if value]

    def authorization(self) -> str:
        """Return the value of the Authorization header, or None."""
        if self.api_key:
            return f"ApiKey {self.api_key}"
        if self.user:
            pair = f"{self.user}:{self.password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return ""

    def check(self, url: str) -> None:
        """Raise IngestError when `url` contains credentials, or when ours would be sent unencrypted."""
        if "@" in url:
            # The URL appears in messages and in `ps`, so it must not contain credentials before the @.
            raise IngestError(
                "expected an OpenSearch URL without user and password, got one with an @; give them as "
                "MMSEARCH_OPENSEARCH_USER and MMSEARCH_OPENSEARCH_PASSWORD_FILE"
            )
        if len(self.kinds) > 1:
            raise IngestError(
                f"expected one kind of credentials for OpenSearch, got {' and '.join(self.kinds)}; unset all "
                "but one"
            )
        if self.user and not self.password:
            raise IngestError(
                "expected a password for MMSEARCH_OPENSEARCH_USER, got none; set "
                "MMSEARCH_OPENSEARCH_PASSWORD_FILE"
            )
        _encrypted(url, self.kinds, "https")


@dataclass(frozen=True, slots=True)
class TritonAccess(Access):
    """The bearer token for a gateway in front of Triton. Triton itself has no authentication."""

    token: str = field(default="", repr=False)

    server: ClassVar[str] = "TRITON"
    secrets: ClassVar[tuple[str, ...]] = ("token",)

    def check(self, url: str) -> None:
        """Raise IngestError when the token would be sent unencrypted."""
        _encrypted(url, ["a token"] if self.token else [], "grpcs")


@dataclass(frozen=True, slots=True)
class DashboardsAccess(Access):
    """User and password of OpenSearch Dashboards."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    server: ClassVar[str] = "DASHBOARDS"
    secrets: ClassVar[tuple[str, ...]] = ("password",)

    def check(self, url: str) -> None:
        """Raise IngestError when `url` contains credentials, or when ours would be sent unencrypted."""
        if "@" in url:
            raise IngestError(
                "expected an address of Dashboards without user and password, got one with an @; give them "
                "as --user and MMSEARCH_DASHBOARDS_PASSWORD_FILE"
            )
        _encrypted(url, ["a user"] if self.user else [], "https")


def _encrypted(url: str, credentials: list[str], scheme: str) -> None:
    """Raise IngestError when credentials would be sent without TLS. Plain http is allowed on loopback only,
    plain gRPC never.
    """
    parts = urlsplit(url if "://" in url else f"grpc://{url}")
    if not credentials or parts.scheme in ("https", "grpcs"):
        return
    if scheme == "https" and parts.hostname in LOOPBACK:
        return
    raise IngestError(
        f"expected {scheme}:// where {credentials[0]} travels, got {parts.scheme}://{parts.hostname}; use "
        f"{scheme}://, or unset the credentials"
    )


def _readable(name: str, file: str) -> None:
    if not file:
        return
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        raise IngestError(
            f"expected a PEM file for --{name.replace('_', '-')}, got {file}: {error.strerror}; name a "
            "readable one"
        ) from None
