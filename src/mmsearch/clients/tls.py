"""TLS of the connections to servers: settings of the clients, and the meaning of certificate errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mmsearch.clients.credentials import TritonAccess
from mmsearch.errors import UntrustedError


def untrusted(server: str, text: str) -> UntrustedError | None:
    """Return the error that matches the message of a TLS library, or None if the message is about something
    else.
    """
    lower = text.lower()
    why = re.search(r"certificate verify failed: (.+?)(?: \(_ssl|\.$|$)", text)
    if why or any(
        words in lower
        for words in ("certificate_verify_failed", "hostname verification", "peer name", "server name")
    ):
        return UntrustedError(
            f"expected a valid certificate of {server}, got "
            f"{why.group(1).rstrip('.') if why else 'another'}; name its authority by --ca-file"
        )
    if re.search(r"alert.(certificate.required|unknown.ca|bad.certificate)|certificate.required", lower):
        return UntrustedError(
            f"expected {server} to accept our certificate, got a refusal; name one that it trusts by "
            "--client-cert and --client-key"
        )
    return None


def channel_credentials(access: TritonAccess) -> Any:
    """Return gRPC channel credentials with the given authorities, or by default those that gRPC includes."""
    # Imported here, so that a connection to OpenSearch does not need gRPC.
    import grpc

    files = (access.ca_file, access.client_key, access.client_cert)
    tls = grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))
    if not access.token:
        return tls
    return grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(access.token))
