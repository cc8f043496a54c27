"""Requests signed for OpenSearch on AWS, with opensearch-py's signer and AWS's standard credential
sources.
"""

from __future__ import annotations

from typing import Any

from opensearchpy import Urllib3AWSV4SignerAuth

from mmsearch.errors import IngestError


def signer(region: str, service: str) -> Any:
    """Return the `http_auth` object for opensearch-py. `service` is `es` for a domain, `aoss` for serverless.

    Raise IngestError when botocore is not installed or finds no keys.
    """
    try:
        import botocore.session
    except ModuleNotFoundError:
        raise IngestError(
            "expected botocore to sign for AWS, got none; install it by: pip install 'mmsearch[aws]'"
        ) from None
    keys = botocore.session.Session().get_credentials()
    if keys is None:
        raise IngestError(
            "expected keys of AWS in the environment, a profile or a role, got none; set AWS_PROFILE, or "
            "unset MMSEARCH_OPENSEARCH_AWS_REGION"
        )
    return Urllib3AWSV4SignerAuth(keys, region, service)
