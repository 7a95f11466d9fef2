"""The run's log: one JSON object a line, in which nothing is a secret, a person's, or a command to a terminal.

The events and their fields are listed in docs/observability.md, which a test holds to the code.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson
import structlog

from clerk_runner.plain import plain

__all__ = [
    "Echo",
    "Log",
    "LogFormat",
    "LogLevel",
    "LogOptions",
    "echo_log",
    "echo_of",
    "open_log",
    "redact",
    "silent_log",
]

Log = structlog.typing.FilteringBoundLogger
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]
Echo = Callable[[MutableMapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is logged, and where else.

    Attributes:
        level: events below it are left out.
        echo: is given each event too, without secrets; None for none.
    """

    level: LogLevel = "info"
    echo: Echo | None = None


SECRETS = (
    (re.compile(r"\b(sk|pk)_(test|live)_[A-Za-z0-9_\-+/=]+"), r"\1_\2_***"),
    (re.compile(r"(?i)\bbearer\s+\S+"), "Bearer ***"),
    # An address's local part may hold nearly anything; what surrounds the @ without a blank goes with it. It begins at
    # a border, so that a long text without an @ is looked at once and not from each of its characters.
    (re.compile(r"(?<![^\s@\"<>(),;:])[^\s@\"<>(),;:]+@[^\s@\"'<>(),;:]+"), "***@***"),
    # An invitation's URL signs its reader up.
    (re.compile(r"https?://\S*(ticket|token)\S*", re.IGNORECASE), "https://***"),
)


def redact(text: str) -> str:
    """The text without keys, tokens, e-mail addresses and invitation URLs.

    Example:
        >>> redact("jane@example.com used sk_test_abc")
        '***@*** used sk_test_***'
    """
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def open_log(path: Path, options: LogOptions | None = None, **facts: Any) -> tuple[Log, BinaryIO]:
    """Append to a log file (0600); returns the logger, bound to ``facts``, and the file to close."""
    options = options or LogOptions()
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    file = os.fdopen(handle, "ab", buffering=0)
    return _logger(_Lines(file), options.level, options.echo).bind(**facts), file


def silent_log() -> Log:
    """A logger that writes nothing, for commands that have no run."""
    return _logger(_Nothing(), "error", None)


def echo_log(echo: Echo, level: LogLevel) -> Log:
    """A logger for what belongs to no run: its events go to ``echo`` alone."""
    return _logger(_Nothing(), level, echo)


def echo_of(form: LogFormat) -> Echo:
    """Writes each event as a line on stderr: as JSON, or for people."""
    if form == "json":

        def render(event: MutableMapping[str, Any]) -> str:
            return orjson.dumps(event).decode()
    else:
        # Its colours are the terminal's own sixteen, of which cyan and yellow cannot be read on white.
        console = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, sort_keys=False)

        def render(event: MutableMapping[str, Any]) -> str:
            return str(console(None, "", event))

    def echo(event: MutableMapping[str, Any]) -> None:
        with suppress(OSError):
            sys.stderr.write(f"{render(dict(event))}\n")
            sys.stderr.flush()

    return echo


def _logger(sink: Any, level: LogLevel, echo: Echo | None) -> Log:
    def told(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if echo is not None:
            echo(event)
        return event

    logger: Log = structlog.wrap_logger(
        sink,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redacted,
            told,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return logger


def _redacted(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _clean(value)
    return event


def _clean(value: Any) -> Any:
    """The value with every text in it redacted and plain, however deep; what JSON does not know becomes such a text."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {plain(redact(str(key))): _clean(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(one) for one in value]
        case _:
            return plain(redact(str(value)))


def _dumps(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event)


class _Lines:
    """A sink for whole lines. A disk that is full costs the line and not the run: its journal says so in its place."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def msg(self, event: bytes) -> None:
        """Write one line in one piece."""
        with suppress(OSError):
            self._file.write(event + b"\n")

    debug = info = warning = error = critical = msg


class _Nothing:
    """A sink for what nobody reads."""

    def msg(self, _event: bytes) -> None:
        """Drop it."""

    debug = info = warning = error = critical = msg
