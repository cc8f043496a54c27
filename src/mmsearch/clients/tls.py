"""Certificates on the links to servers: what a client is given, and what it means when one is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mmsearch.clients.credentials import TritonAccess
from mmsearch.errors import UntrustedError


def untrusted(server: str, text: str) -> UntrustedError | None:
    """The error that a TLS library's words stand for, or None when they are about something else."""
    lower = text.lower()
    why = re.search(r"certificate verify failed: (.+?)(?: \(_ssl|\.$|$)", text)
    if why or any(
        words in lower
        for words in ("certificate_verify_failed", "hostname verification", "peer name", "server name")
    ):
        return UntrustedError(
            f"expected a certificate of {server} that verifies, got "
            f"{why.group(1).rstrip('.') if why else 'one that does not'}; name who signed it by --ca-file"
        )
    if re.search(r"alert.(certificate.required|unknown.ca|bad.certificate)|certificate.required", lower):
        return UntrustedError(
            f"expected {server} to take us, got its refusal of our certificate; name one that it believes by "
            "--client-cert and --client-key"
        )
    return None


def channel_credentials(access: TritonAccess) -> Any:
    """gRPC's own verification, with the authorities named or, without, those that gRPC brings."""
    # Imported here: a link to OpenSearch needs no gRPC.
    import grpc

    files = (access.ca_file, access.client_key, access.client_cert)
    tls = grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))
    if not access.token:
        return tls
    return grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(access.token))
