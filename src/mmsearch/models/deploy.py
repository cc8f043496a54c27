"""Deploy a trained model set to a running Triton: a new version beside the old ones, without dropped
requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from mmsearch.clients.credentials import TritonAccess
from mmsearch.clients.tls import channel_credentials
from mmsearch.errors import ServedTreeError
from mmsearch.models import architecture as architectures
from mmsearch.models import build as building
from mmsearch.models import gain, repository
from mmsearch.models import precision as precisions
from mmsearch.models.configs import ENTRIES, MODELS
from mmsearch.models.runtime import calibrate
from mmsearch.models.trained_files import ARCHITECTURE, WEIGHTS

READY_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Deployed:
    """The version that serves the set, whether this call added it, and its precision."""

    built: building.ModelSet
    version: int
    new: bool
    precision: str


def deploy(
    training: Path, precision: str, tree: Path, say: Callable[[str], None], *, anyway: bool = False
) -> Deployed:
    """Build the result of `mmsearch train` in `training`, add it to `tree`, and choose its towers' runtimes.

    Raise ModelError, also for a training that was no better than the untrained model, unless `anyway`.
    """
    file = training / ARCHITECTURE
    if not file.exists() or not (training / WEIGHTS).exists():
        raise ServedTreeError(
            f"expected {ARCHITECTURE} and {WEIGHTS} in {training}, got none; name a training's folder"
        )
    measured = gain.read(training)
    if measured and measured.lost and not anyway:
        raise ServedTreeError(
            f"expected a training that is better than the untrained model, got {measured.difference:+.3f} "
            f"({measured.low:+.3f} to {measured.high:+.3f}) on its held-out groups; train on more pairs, or "
            "deploy it by --anyway"
        )
    precision, built = precisions.build(architectures.load(file), precision, tree, say, training / WEIGHTS)
    version, new = repository.next_version(built, tree)
    if new:
        tree.mkdir(parents=True, exist_ok=True)
        repository.add(built, tree, version)
    calibrate.calibrate(tree, say)
    return Deployed(built, version, new, precision)


def load(deployed: Deployed, tree: Path, triton: str) -> None:
    """Load the version in the Triton at `triton` (host:port of gRPC), towers first. Raise ServedTreeError.

    The old versions continue to serve requests and stay loaded.
    """
    models = [model for model in MODELS[2:] if (tree / model / str(deployed.version)).exists()]
    with _client(triton) as client:
        for model in (*models, *ENTRIES.values()):
            _load(client, model, deployed.version)


def unload(remaining: Mapping[str, Sequence[int]], triton: str) -> None:
    """Unload the models or versions that `repository.retire` removed from the Triton at `triton`, entry
    models first. Raise ServedTreeError.

    Triton reloads a model's remaining versions and serves from the old instances until those are ready.
    """
    with _client(triton) as client:
        for model, versions in remaining.items():
            try:
                if versions:
                    client.load_model(model)
                elif client.is_model_ready(model):
                    client.unload_model(model)
            except InferenceServerException as error:
                raise ServedTreeError(
                    f"expected Triton to unload the retired version of {model}, got: {error.message()}; "
                    "see `mmsearch logs triton`"
                ) from error


def _client(triton: str) -> grpcclient.InferenceServerClient:
    """Return a client with the certificates and the token of the environment, as in `mmsearch ingest`.

    Raise IngestError when a token would be sent unencrypted.
    """
    access = TritonAccess.from_environment()
    access.check(triton)
    scheme, _, address = triton.rpartition("://")
    secure = scheme in ("grpcs", "https")
    return grpcclient.InferenceServerClient(address, creds=channel_credentials(access) if secure else None)


def _load(client: Any, model: str, version: int) -> None:
    try:
        if client.is_model_ready(model, str(version)):
            return
        client.load_model(model)
        ready_by = time.monotonic() + READY_WITHIN
        while not client.is_model_ready(model, str(version)):
            if time.monotonic() > ready_by:
                raise ServedTreeError(
                    f"expected {model} version {version} within {READY_WITHIN:.0f} s, got none; "
                    "see `mmsearch logs triton`"
                )
            time.sleep(0.1)
    except InferenceServerException as error:
        raise ServedTreeError(
            f"expected Triton to load {model} version {version}, got: {error.message()}; "
            "see `mmsearch logs triton`"
        ) from error
