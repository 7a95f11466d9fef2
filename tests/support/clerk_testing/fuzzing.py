"""What is given bytes that nobody foresaw: each target takes any bytes, and ends without an error that is none of ours.

CI tries a few of them with hypothesis and all that were ever kept; ``make fuzz`` looks for new ones by coverage.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from clerk_jobs.call import Call, Item, ReadRefused, Reply
from clerk_jobs.catalog import ListShape, load
from clerk_jobs.errors import ClerkBatchError, InputError, JobFileError, RowProblem, TemplateError
from clerk_jobs.export.page import parse_page
from clerk_jobs.invite.screen import Screening
from clerk_jobs.invite.settle import Settling
from clerk_jobs.jobfile import load_job
from clerk_jobs.metadata.targets import TARGETS, read_current
from clerk_jobs.rows import CsvSource, JsonlSource, open_rows
from clerk_jobs.template import compile_text
from clerk_limits.block import retry_after_s
from clerk_runner.client import _reply
from clerk_runner.explore.answers import failure_lines, success_lines
from clerk_runner.logs import redact
from clerk_runner.plain import HIDDEN, plain
from clerk_runner.refusals import fatal_error

__all__ = ["FUZZED", "MOST_STEPS"]

MOST_STEPS: Final = 2_000
"""Calls after which a conversation counts as one without end."""
ADDRESSES: Final = ("ada@example.com", "bob@example.com")
ITEMS: Final = [Item(seq, {"email_address": address}) for seq, address in enumerate(ADDRESSES, 1)]
OPERATIONS: Final = ("GetUserList", "CreateInvitation", "DeleteUser", "GetUsersCount", "UpdateUserMetadata")


def job_file(data: bytes) -> None:
    """A job file is a job, or its faults."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.yaml")
        path.write_bytes(data)
        with suppress(JobFileError):
            load_job(path)


def _rows(data: bytes, source: CsvSource | JsonlSource) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rows").write_bytes(data)
        with suppress(InputError), open_rows(source, Path(folder)) as rows:
            for row in rows:
                rows.read_at(row.offset, row.line, row.number)


def comma_separated(data: bytes) -> None:
    """A CSV is rows, their faults, or a fault of the file; and what was read is found again where it stood."""
    _rows(data, CsvSource("rows"))


def json_lines(data: bytes) -> None:
    """The same of JSON Lines."""
    _rows(data, JsonlSource("rows"))


def template(data: bytes) -> None:
    """A template and a row's text: rendered, or refused."""
    text, _, value = data.decode(errors="replace").partition("\n")
    with suppress(TemplateError, RowProblem):
        compiled = compile_text(text)
        compiled.render(dict.fromkeys(compiled.columns, value))


def retry_after(data: bytes) -> None:
    """Two headers: a wait that is one, or none."""
    header, _, date = data.decode("latin-1").partition("\n")
    seconds = retry_after_s(header, date or None, 1_700_000_000.0)
    assert seconds is None or 0 < seconds < float("inf")


def shown(data: bytes) -> None:
    """Any text is shown and logged without secrets and commands."""
    text = plain(redact(data.decode(errors="surrogateescape")))
    assert HIDDEN.search(text.replace("\t", "")) is None


def answer(data: bytes) -> None:
    """An answer of any status and JSON: judged and put into words, for operations of every kind."""
    status = 200 + int.from_bytes(data[:2].ljust(2, b"\0")) % 400
    try:
        value = orjson.loads(data[2:])
    except ValueError:
        return
    reply = _reply(status, value, None)
    assert reply.ok or status < 400 or reply.code
    fatal_error(reply)
    catalog = load()
    for name in OPERATIONS:
        operation = catalog.operation(name)
        call = Call(name, operation.method, operation.path, operation.path, operation.safety)
        for line in success_lines(operation, call, value) if reply.ok else failure_lines(operation, reply):
            assert isinstance(line, str)


def page(data: bytes) -> None:
    """A page of any shape: rows with ids, no list, or no JSON to its last byte."""
    for shape in ListShape:
        with suppress(ValueError):
            parse_page(data, shape)


def talk(data: bytes) -> None:
    """Replies of any JSON to the questions of screening, settling and reading metadata: an end, and no other error."""
    try:
        values = orjson.loads(data)
    except ValueError:
        return
    replies = [_read(one) for one in values] if isinstance(values, list) and values else [_read(values)]
    for begin in _talks():
        _carry(begin, replies)


def _read(value: Any) -> Reply:
    """A reply: ``[status, value]``, or a success with the value."""
    match value:
        case [int() as status, body] if 200 <= status < 600:
            return _reply(status, body, None)
        case _:
            return Reply(200, value)


def _talks() -> Iterator[Any]:
    for organizations in (False, True):
        items = [Item(one.seq, one.payload, "org_1" if organizations else "") for one in ITEMS]
        screen = Screening(organizations=organizations, on_existing="skip")
        settlement = Settling(organizations=organizations, on_existing="reinvite")
        yield screen.members(items)
        yield screen.ask(items[0])
        yield settlement.reconcile(items, 1_700_000_000_000)
        yield settlement.after_refusal(items, 1_700_000_000_000, _reply(400, {"errors": [{"code": "x"}]}, None))
    yield read_current(TARGETS["users"], "", "email_address", ADDRESSES)
    yield read_current(TARGETS["users"], "", "id", ["user_1"])
    yield read_current(TARGETS["memberships"], "org_1", "id", ["user_1", "user_2"])


def _carry(talking: Any, replies: Sequence[Reply]) -> None:
    with suppress(StopIteration, ReadRefused, ClerkBatchError):
        next(talking)
        for step in range(MOST_STEPS):
            talking.send(replies[step % len(replies)])
        raise AssertionError("a conversation has no end")


FUZZED: Final[Mapping[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]]] = {
    "job-file": (job_file, (b'name: a\nkind: invite\nsource: p.csv\nemail: "{email}"\nlimits: {share: 0.5}\n',)),
    "csv": (comma_separated, (b'email,n\n"a""b@c.de",1\r\n', "é;b\n1;2\n".encode("utf-16"))),
    "json-lines": (json_lines, (b'{"email": "a@b.co", "n": 1e5}\n[]\n',)),
    "template": (template, (b"{a:int?} {{b}}\n17", b"{a:json}\n[1]")),
    "retry-after": (retry_after, (b"3.5", b"Mon, 31 Aug 2026 10:00:30 GMT\nMon, 31 Aug 2026 10:00:00 GMT")),
    "shown": (shown, (b"ada@example.com sk_test_x https://x/?ticket=1 \x1b[2J",)),
    "answer": (answer, (b"\0\xc8" + b'{"errors": [{"code": "a", "message": "b", "meta": {}}]}', b'\0\0[{"id": "u"}]')),
    "page": (page, (b'[{"id": "user_1", "created_at": 5}]', b'{"data": [{"id": "a"}], "total_count": 1}')),
    "talk": (
        talk,
        (
            json.dumps([{"data": [], "total_count": 0}, [429, None], [414, {}]]).encode(),
            json.dumps([[{"id": "inv_1", "email_address": "ada@example.com", "created_at": 17e11}]]).encode(),
        ),
    ),
}
"""By name: the target, and bytes to begin with."""
