"""OpenTelemetry spans, with the extra `otel`: ingest, each encoder call, each bulk request.

Without the package a span is a shared no-op object. If the package is installed but no exporter is configured
by the host program or the environment, OpenTelemetry's own no-op tracer is used.
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
    """Return a span that is a child of the current span. An exception that leaves it is recorded."""
    if not _tracing:
        return _nothing
    return trace.get_tracer(NAME).start_as_current_span(
        f"{NAME}.{name}", attributes={f"{NAME}.{key}": value for key, value in attributes.items()}
    )


def set_attributes(**attributes: str | int | float) -> None:
    """Set attributes of the current span that are known only at its end."""
    if _tracing:
        trace.get_current_span().set_attributes({f"{NAME}.{key}": value for key, value in attributes.items()})


def headers() -> dict[str, str]:
    """Return the trace context of the current span as headers (W3C Trace Context); empty without a span."""
    carrier: dict[str, str] = {}
    if _tracing:
        propagate.inject(carrier)
    return carrier


@contextmanager
def exported() -> Iterator[None]:
    """Export spans by OTLP while the block runs, if the environment names a collector and the SDK is
    installed.

    A tracer provider set by the host program is not changed.
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
