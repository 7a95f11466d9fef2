"""What a run tells beside its summary: its log on stderr, and OpenTelemetry."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clerk_runner.telemetry import NO_TELEMETRY, telemetry_of
from clerk_testing.commands import Workplace, write_people

ROOT = Path(__file__).resolve().parents[2]
INVITE = "name: invites\nkind: invite\nsource: people.csv\nemail: '{email}'\n"
KEY = "sk_live_tests"


class _Collector(BaseHTTPRequestHandler):
    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An address that takes OTLP, and what came in."""
    received: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Collector", (_Collector,), {"received": received}))
    thread = threading.Thread(target=server.serve_forever, name="collector")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def prepared(workplace: Workplace) -> None:
    write_people(workplace.folder / "people.csv", ["ada@example.com", "bob@example.com"])
    workplace.write("job.yaml", INVITE)


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in attributes}


def test_the_log_goes_to_stderr_as_json_and_names_nobody(start: Any) -> None:
    workplace, _ = start()
    prepared(workplace)
    ended = workplace.run("run", "job.yaml", "--yes", "--log-format", "json", "--log-level", "debug")
    assert ended.code == 0, ended.err
    events = [json.loads(line) for line in ended.err.splitlines()]
    assert {"start", "stage", "preview", "progress", "request", "item", "end"} <= {each["event"] for each in events}
    assert "@example.com" not in ended.err
    assert KEY not in ended.err
    in_file = (workplace.only_run() / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["event"] for line in in_file} >= {"start", "request", "item", "end"}


def test_the_log_for_people_has_no_colours_where_there_is_no_terminal(start: Any) -> None:
    workplace, _ = start()
    prepared(workplace)
    ended = workplace.run("run", "job.yaml", "--yes", "--log-format", "console", "--log-level", "warning")
    assert (ended.code, ended.err) == (0, "")
    ended = workplace.run("run", "job.yaml", "--fresh", "--yes", "--log-format", "console")
    assert re.search(r"^\S+Z \[info *\] end .*exit=0", ended.err, re.MULTILINE), ended.err
    assert "\x1b" not in ended.err


def test_spans_and_metrics_are_exported_where_the_environment_asks_for_it(start: Any) -> None:
    with collector() as (address, received):
        workplace, _ = start(OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_SERVICE_NAME="imports")
        prepared(workplace)
        ended = workplace.run("run", "job.yaml", "--yes")
    assert ended.code == 0, ended.err
    spans = [
        span
        for path, body in received
        if path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    resources = [
        values(each.resource.attributes)
        for path, body in received
        if path == "/v1/traces"
        for each in ExportTraceServiceRequest.FromString(body).resource_spans
    ]
    assert {(each["service.name"], bool(each["service.version"])) for each in resources} == {("imports", True)}
    (run,) = [span for span in spans if span.name == "run"]
    assert values(run.attributes)["clerk_batch.state"] == "done"
    below = [span for span in spans if span.parent_span_id == run.span_id]
    (bulk,) = [span for span in below if span.name == "POST /invitations/bulk"]
    assert values(bulk.attributes)["http.response.status_code"] == 200
    assert len(below) == len(spans) - 1
    metrics = {
        metric.name
        for path, body in received
        if path == "/v1/metrics"
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert metrics >= {"http.client.request.duration", "clerk_batch.items"}
    for _, body in received:
        assert b"@example.com" not in body
        assert KEY.encode() not in body


def test_a_collector_that_is_not_there_changes_nothing_but_says_so(start: Any) -> None:
    # Port 9 discards; nobody listens there.
    workplace, _ = start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    prepared(workplace)
    ended = workplace.run("run", "job.yaml", "--yes")
    assert ended.code == 0
    assert ended.err.count("telemetry was not delivered whole") == 1
    assert "Transient error" not in ended.err.replace("whole: Transient error", "")


def test_every_event_is_in_the_table_and_the_table_has_no_other() -> None:
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    table = page.partition("| event |")[2].partition("##")[0]
    told = set(re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE))
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "runner" / "clerk_runner").rglob("*.py"))
    logged = {(event, level) for level, event in re.findall(r"\blog\.(debug|info|warning|error)\(\s*\"(\w+)\"", source)}
    logged |= {(event, level) for level, event in re.findall(r"_log\.(debug|info|warning|error)\(\s*\"(\w+)\"", source)}
    assert told == logged


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED", ""])
def test_nothing_of_it_is_imported_unless_it_is_asked_for(variable: str) -> None:
    environ = {variable: "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"} if variable else {}
    assert telemetry_of(environ, "1") == (NO_TELEMETRY, "")
