"""Secrets out of the operating system's keyring, here one in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from mmsearch.clients.credentials import OpenSearchAccess
from mmsearch.errors import IngestError

SECRET = "s3cret-of-the-shop"
VARIABLE = "MMSEARCH_OPENSEARCH_PASSWORD"


class InMemory(KeyringBackend):
    """Holds what it is given; `locked` refuses as a locked keyring does."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password


@pytest.fixture
def held() -> Iterator[InMemory]:
    before = keyring.get_keyring()
    backend = InMemory()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def access(reference: str) -> OpenSearchAccess:
    return OpenSearchAccess.from_environment({"MMSEARCH_OPENSEARCH_USER": "shop", VARIABLE: reference})


def test_a_password_is_what_the_keyring_holds(held: InMemory) -> None:
    keyring.set_password("mmsearch/production", "shop", SECRET)
    found = access("keyring:mmsearch/production/shop")
    assert found.password == SECRET
    assert SECRET not in repr(found)


@pytest.mark.parametrize("reference", ["keyring:", "keyring:mmsearch", "keyring:mmsearch/", "keyring:/shop"])
def test_half_a_reference_is_refused(held: InMemory, reference: str) -> None:
    with pytest.raises(IngestError, match=rf"expected keyring:SERVICE/NAME in {VARIABLE}, got '{reference}'"):
        access(reference)


def test_what_is_not_there_is_one_sentence_with_the_command(held: InMemory) -> None:
    with pytest.raises(IngestError, match=r"got none; set it by: keyring set mmsearch shop"):
        access("keyring:mmsearch/shop")
    held.set_password("mmsearch", "shop", f"{SECRET}\nmore")
    with pytest.raises(IngestError, match="got several") as told:
        access("keyring:mmsearch/shop")
    assert SECRET not in str(told.value)


def test_a_locked_keyring_is_told(held: InMemory) -> None:
    held.locked = True
    with pytest.raises(IngestError, match=rf"got KeyringLocked; unlock it, .*{VARIABLE}_FILE"):
        access("keyring:mmsearch/shop")


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(IngestError, match=r"the package keyring .* pip install 'mmsearch\[keyring\]'"):
        access("keyring:mmsearch/shop")


def test_what_is_no_secret_is_taken_as_it_is(held: InMemory) -> None:
    assert (
        OpenSearchAccess.from_environment({"MMSEARCH_OPENSEARCH_USER": "keyring:a/b"}).user == "keyring:a/b"
    )
