"""Spans by OpenTelemetry, in the extra `otel`: ingest, each call of the encoder, each bulk request.

Where the package is absent a span is a shared object that does nothing. Where it is there, and neither the
program around us nor the environment names where spans go, OpenTelemetry's own no-op tracer is asked.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

try:
    from opentelemetry import propagate, trace
except ModuleNotFoundError:
    _tracing = False
else:
    _tracing = True

NAME = "mmsearch"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_nothing: AbstractContextManager[None] = nullcontext()


def span(name: str, **attributes: str | int | float) -> AbstractContextManager[Any]:
    """A span under the one that is current in this context; an exception that leaves it is recorded."""
    if not _tracing:
        return _nothing
    return trace.get_tracer(NAME).start_as_current_span(
        f"{NAME}.{name}", attributes={f"{NAME}.{key}": value for key, value in attributes.items()}
    )


def set_attributes(**attributes: str | int | float) -> None:
    """Say more of the current span, known at its end only."""
    if _tracing:
        trace.get_current_span().set_attributes({f"{NAME}.{key}": value for key, value in attributes.items()})


def headers() -> dict[str, str]:
    """The current span for the server that is asked next (W3C trace context); empty when there is none."""
    carrier: dict[str, str] = {}
    if _tracing:
        propagate.inject(carrier)
    return carrier


@contextmanager
def exported() -> Iterator[None]:
    """Send spans by OTLP while the block runs, where the environment names a collector and the SDK is there.

    A provider that the program around us has set is left alone.
    """
    if not _tracing or not any(os.environ.get(name) for name in ENDPOINTS):
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        yield
        return
    about = {"service.name": NAME, "service.version": importlib.metadata.version(NAME)}
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
