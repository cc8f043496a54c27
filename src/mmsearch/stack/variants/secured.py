"""The newest OpenSearch that supports the official security plugin, for containers and slow tests.

3.4.0.0 is the only available release of the plugin for OpenSearch 3. It runs on 3.5.0 with one line of its
descriptor changed.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from mmsearch.errors import StackError
from mmsearch.stack.downloads import archives, fetch

_PINNED = archives("secured.json")
OPENSEARCH = _PINNED["opensearch"]
KNN = _PINNED["opensearch-knn"]
SECURITY = _PINNED["opensearch-security"]


def write_security_plugin(target: Path) -> None:
    """Write the security plugin's zip with a descriptor for this OpenSearch version; for tests only.

    Raise StackError when the descriptor differs from the expected one.
    """
    with zipfile.ZipFile(fetch(SECURITY)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename == "plugin-descriptor.properties":
                before = b"\nopensearch.version=3.4.0\n"
                if before not in data:
                    raise StackError(
                        f"expected a security plugin for OpenSearch 3.4.0, got {data.decode()}; "
                        "repair: the pin in stack/secured.json"
                    )
                data = data.replace(before, f"\nopensearch.version={OPENSEARCH.version}\n".encode())
            new.writestr(entry, data)
