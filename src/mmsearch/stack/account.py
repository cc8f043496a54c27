"""The unprivileged account under which root runs the node, which refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """An account by its numbers, so that it need not exist in a file."""

    name: str
    uid: int
    gid: int


def unprivileged() -> Account | None:
    """`nobody` when we are root, None otherwise: then the servers run as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        # Slim images may lack the entry; the kernel's own overflow id is the same number everywhere.
        return Account("nobody", 65534, 65534)
    return Account("nobody", nobody.pw_uid, nobody.pw_gid)
