"""The unprivileged account for the node when mmsearch runs as root. OpenSearch refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """A user by uid and gid; it need not be in /etc/passwd."""

    name: str
    uid: int
    gid: int


def unprivileged() -> Account | None:
    """Return `nobody` if this process is root, else None: the servers then run as the current user."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        # Minimal images may lack the entry; the kernel's overflow uid is the same on every system.
        return Account("nobody", 65534, 65534)
    return Account("nobody", nobody.pw_uid, nobody.pw_gid)
