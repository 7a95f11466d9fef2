"""Spans and metrics of a run for OpenTelemetry, where the user's own variables ask for them; otherwise nothing.

A run is a span and each request one below it, named and described as OpenTelemetry's conventions for HTTP clients have
it. Paths are told as templates, so no id, address or key is in any of it. What goes wrong with telemetry never changes
how a run ends.

Source: OpenTelemetry's semantic conventions for HTTP, read in November 2026.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from clerk_jobs.call import Call
from clerk_runner.logs import redact

if TYPE_CHECKING:
    from clerk_runner.report import Summary

__all__ = ["NO_TELEMETRY", "Telemetry", "telemetry_of"]

ENDPOINTS: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
DELIVERY_S: Final = 3
"""How long each of traces and metrics is tried to be delivered: the end of a run waits no longer for a collector."""


class Telemetry(Protocol):
    """Is told what a run does."""

    def begin(self, run: str, job: str, kind: str, host: str) -> None:
        """A run begins, or goes on."""

    def request(self, call: Call, status: int | str, elapsed_s: float) -> None:
        """A request ended just now: with a status, or for a reason that is no answer."""

    def end(self, summary: Summary | None) -> str:
        """The run ended; None where an error left no summary. Returns what went wrong with telling, or nothing."""
        ...


class _Nothing:
    def begin(self, run: str, job: str, kind: str, host: str) -> None:
        """Nobody asked."""

    def request(self, call: Call, status: int | str, elapsed_s: float) -> None:
        """Nobody asked."""

    def end(self, summary: Summary | None) -> str:  # noqa: ARG002
        """Nobody asked."""
        return ""


NO_TELEMETRY: Final[Telemetry] = _Nothing()


def telemetry_of(environ: Mapping[str, str], version: str) -> tuple[Telemetry, str]:
    """Telemetry as OpenTelemetry's own variables ask for it, and what to tell the user about it, or nothing.

    Args:
        environ: the process's variables; without an endpoint in them nothing is imported or sent.
        version: of this program.
    """
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not any(environ.get(name) for name in ENDPOINTS):
        return NO_TELEMETRY, ""
    try:
        return _OpenTelemetry(version), ""
    except ImportError:
        return NO_TELEMETRY, 'OTEL_EXPORTER_OTLP_ENDPOINT is set, but nothing is exported without "clerk-batch[otel]"'


class _OpenTelemetry:
    """Speaks to the SDK of OpenTelemetry; exporter, sampler and resource are set by its own variables."""

    def __init__(self, version: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415

        # What is given here would win over what the user's own variables say.
        asked = OTELResourceDetector().detect().attributes
        resource = Resource.create({"service.name": "clerk-batch", "service.version": version, **asked})
        # The process's end is ours: a run that is over flushes, and nothing is registered for later.
        self._traces: Any = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=DELIVERY_S)))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=DELIVERY_S))
        self._metrics: Any = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer("clerk_runner", version)
        meter = self._metrics.get_meter("clerk_runner", version)
        self._duration = meter.create_histogram(
            "http.client.request.duration", unit="s", description="How long requests took."
        )
        self._items = meter.create_counter(
            "clerk_batch.items", unit="{item}", description="Items of runs that ended, by state."
        )
        self._client: Any = SpanKind.CLIENT
        self._below: Any = set_span_in_context
        self._span: Any = None
        self._host = ""
        self._trouble = _Trouble()
        log = logging.getLogger("opentelemetry")
        log.propagate = False
        log.addHandler(self._trouble)

    def begin(self, run: str, job: str, kind: str, host: str) -> None:
        self._host = host
        about = {"clerk_batch.run": run, "clerk_batch.job": job, "clerk_batch.kind": kind, "server.address": host}
        self._span = self._tracer.start_span("run", attributes=about)

    def request(self, call: Call, status: int | str, elapsed_s: float) -> None:
        if self._span is None:
            return
        about: dict[str, str | int] = {
            "http.request.method": call.method,
            "url.template": call.template,
            "server.address": self._host,
        }
        about |= {"http.response.status_code": status} if isinstance(status, int) else {"error.type": status}
        now_ns = time.time_ns()
        span = self._tracer.start_span(
            f"{call.method} {call.template}",
            context=self._below(self._span),
            kind=self._client,
            attributes=about,
            start_time=now_ns - int(elapsed_s * 1e9),
        )
        span.end(now_ns)
        self._duration.record(elapsed_s, about)

    def end(self, summary: Summary | None) -> str:
        if self._span is None:
            return ""
        if summary is not None:
            self._span.set_attributes({"clerk_batch.state": summary.state, "clerk_batch.exit": summary.exit})
            for state in ("done", "skipped", "failed", "unresolved", "pending"):
                about = {"clerk_batch.job": summary.job, "clerk_batch.state": state}
                self._items.add(getattr(summary.items, state), about)
        self._span.end()
        self._span = None
        with suppress(Exception):
            # Both deliver what they have.
            self._traces.shutdown()
            self._metrics.shutdown(DELIVERY_S * 1_000)
        return self._trouble.told


class _Trouble(logging.Handler):
    """Keeps the first word of trouble that the SDK has, which would otherwise appear between the lines of progress."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.told = self.told or f"telemetry was not delivered whole: {redact(record.getMessage())[:200]}"
