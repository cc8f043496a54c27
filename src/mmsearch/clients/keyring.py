"""Secrets from the keyring of the operating system, with the extra `keyring`."""

from __future__ import annotations

from mmsearch.errors import IngestError

PREFIX = "keyring:"


def from_keyring(variable: str, reference: str) -> str:
    """Return the secret of `keyring:SERVICE/NAME`. `variable` is the environment variable with this
    reference.

    Raise IngestError with the variable and the reference, never with a secret.
    """
    service, _, name = reference.removeprefix(PREFIX).rpartition("/")
    if not service or not name:
        raise IngestError(
            f"expected keyring:SERVICE/NAME in {variable}, got {reference!r}; name both, as for keyring set"
        )
    try:
        import keyring
        import keyring.errors
    except ModuleNotFoundError:
        raise IngestError(
            f"expected the package keyring for {variable}, got none; repair: pip install 'mmsearch[keyring]'"
        ) from None
    try:
        secret = keyring.get_password(service, name)
    except keyring.errors.KeyringError as error:
        raise IngestError(
            f"expected a keyring that opens for {variable}, got {type(error).__name__}; unlock it, or give "
            f"the secret by {variable}_FILE"
        ) from None
    if not secret or not secret.isprintable():
        raise IngestError(
            f"expected a secret of one line in the keyring for {variable}, got "
            f"{'several' if secret else 'none'}; set it by: keyring set {service} {name}"
        )
    return secret
