"""Multimodal semantic retrieval for product search on OpenSearch k-NN and NVIDIA Triton.

    import mmsearch

    with mmsearch.Client("http://localhost:9200", triton="localhost:8001", index="products") as shop:
        report = shop.ingest([{"id": "1", "title": "Oak chair", "image": "chair.png"}], image_root="pictures")
        hits = shop.search("somewhere to sit")

Public names are imported on first use, so that `import mmsearch` is quick and loads none of what they need.
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsearch.api.client import Client as Client
    from mmsearch.api.deletion import DeleteReport as DeleteReport
    from mmsearch.api.evaluation import EvaluationReport as EvaluationReport
    from mmsearch.api.evaluation import evaluate as evaluate
    from mmsearch.api.hits import Hits as Hits
    from mmsearch.api.ingest_report import IngestReport as IngestReport
    from mmsearch.api.ingest_report import Reject as Reject
    from mmsearch.api.training import TrainingProgress as TrainingProgress
    from mmsearch.api.training import TrainingRun as TrainingRun
    from mmsearch.api.training import train as train
    from mmsearch.api.tuning import TuningReport as TuningReport
    from mmsearch.api.tuning import tune as tune
    from mmsearch.errors import MmsearchError as MmsearchError
    from mmsearch.ingest.reporting.progress import IngestProgress as IngestProgress
    from mmsearch.search.hits import Hit as Hit
    from mmsearch.search.hits import Leg as Leg

__version__ = "0.1.0"
# Whatever part imports onnxruntime later: it would report to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
_PUBLIC = {
    "Client": "api.client",
    "DeleteReport": "api.deletion",
    "EvaluationReport": "api.evaluation",
    "Hit": "search.hits",
    "Hits": "api.hits",
    "IngestProgress": "ingest.reporting.progress",
    "IngestReport": "api.ingest_report",
    "Leg": "search.hits",
    "MmsearchError": "errors",
    "Reject": "api.ingest_report",
    "TrainingProgress": "api.training",
    "TrainingRun": "api.training",
    "TuningReport": "api.tuning",
    "evaluate": "api.evaluation",
    "train": "api.training",
    "tune": "api.tuning",
}
"""public name → the module that has it"""
__all__ = ["__version__", *_PUBLIC]


if not TYPE_CHECKING:  # to a type checker, a module with __getattr__ has every name

    def __getattr__(name: str) -> object:
        if name not in _PUBLIC:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
