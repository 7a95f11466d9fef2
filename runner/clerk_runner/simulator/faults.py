"""Faults that a run can be given by pattern, repeatably.

A fault is written `PATTERN:KIND[:OPTION]…`, for example `POST /invitations:drop-after-effect:2%`.

PATTERN is a method (or `*`) and a path without `/v1`, in which `*` stands for anything. KIND is one of

    drop-before-effect    the connection is cut, nothing happened
    drop-after-effect     the connection is cut, it happened
    timeout               it happens, and no answer ever comes (timeout-before: it does not happen)
    500-before, 500-after any status of 400..599; alone (`503`) it means before the effect
    429:retry=3           refused; Retry-After is the text given (`retry=` none: no header)
    truncated-json        it happens; the answer is whole by its length, but its JSON is cut short
    truncated-body        it happens; the answer ends before its length, then the connection is cut
    html                  it happens; the answer is a page of HTML with status 200
    partial-bulk          a bulk creation leaves one item out and answers with the others
    slow:by=5s            it takes so much longer than others, effect and answer (or a range: by=0.7-1.4s)

OPTION is `2%` (that share of the matching requests, drawn from the seed), `every=10`, `first=3`, `skip=5`
(the first five pass), `code=resource_locked` (the error's code). Without any each matching request fails.
"""

import re
from dataclasses import dataclass
from fnmatch import translate
from random import Random
from typing import Any, Literal

from .latency import Latency

FaultKind = Literal[
    "drop-before-effect",
    "drop-after-effect",
    "timeout",
    "timeout-before",
    "status-before",
    "status-after",
    "truncated-json",
    "truncated-body",
    "html",
    "partial-bulk",
    "slow",
]

_PLAIN: dict[str, FaultKind] = {
    "drop-before-effect": "drop-before-effect",
    "drop-after-effect": "drop-after-effect",
    "timeout": "timeout",
    "timeout-after": "timeout",
    "timeout-before": "timeout-before",
    "truncated-json": "truncated-json",
    "truncated-body": "truncated-body",
    "html": "html",
    "partial-bulk": "partial-bulk",
    "slow": "slow",
}
_STATUS = re.compile(r"([45]\d\d)(?:-(before|after))?")
_OPTIONS = ("every=10", "first=3", "skip=5", "retry=3", "code=NAME", "by=5s")
_METHODS = {"*", "GET", "POST", "PUT", "PATCH", "DELETE"}

NO_LONGER = Latency()


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of failure for the requests that a pattern names.

    Attributes:
        text: as it was written; the report counts by it.
        method: an HTTP method or `*`.
        path: a path below /v1 in which `*` stands for any text.
        kind: what fails.
        status: the status of `status-before` and `status-after`.
        retry_after: text of the Retry-After header, None for none.
        code: code of the error, None for the usual one of the status.
        by: how much longer a slow answer takes; it passes before the effect.
        share: share of the requests that fail, above 0 up to 1.
        every: of the requests, each n-th fails.
        first: only so many fail.
        skip: so many pass before.
    """

    text: str
    method: str
    path: str
    kind: FaultKind
    status: int = 500
    retry_after: str | None = None
    code: str | None = None
    by: Latency = NO_LONGER
    share: float = 1.0
    every: int = 1
    first: int | None = None
    skip: int = 0

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read one fault as the module describes it.

        Raises:
            ValueError: naming what is wrong with the text.
        """
        pattern, *parts = text.split(":")
        method, _, path = pattern.strip().partition(" ")
        if method.upper() not in _METHODS or not path.strip().startswith(("/", "*")):
            raise ValueError(f"{text!r}: begin with a method and a path, such as 'POST /invitations:503'")
        if not parts:
            raise ValueError(f"{text!r}: a kind of fault must follow the path, such as ':503:2%'")
        kind, status = _kind(text, parts[0])
        options = _options(text, parts[1:])
        if status == 429 and "retry_after" not in options:
            options["retry_after"] = "1"
        return cls(text, method.upper(), path.strip(), kind, status, **options)


def _kind(text: str, word: str) -> tuple[FaultKind, int]:
    if word in _PLAIN:
        return _PLAIN[word], 500
    match = _STATUS.fullmatch(word)
    if match is None:
        raise ValueError(f"{text!r}: no fault is called {word!r}; there are {', '.join(_PLAIN)}, 500-after, 503")
    return ("status-after" if match[2] == "after" else "status-before"), int(match[1])


def _options(text: str, words: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word.endswith("%"):
            share = float(word[:-1]) / 100
            if not 0 < share <= 1:
                raise ValueError(f"{text!r}: a share lies above 0% and up to 100%")
            options["share"] = share
        elif equals and name == "retry":
            options["retry_after"] = value or None
        elif equals and name == "by":
            options["by"] = Latency.parse(value)
        elif equals and name == "code":
            options["code"] = value
        elif equals and name in {"every", "first", "skip"} and value.isdigit():
            options[name] = int(value)
        else:
            raise ValueError(f"{text!r}: {word!r} is not an option; there are 2%, {', '.join(_OPTIONS)}")
    return options


class FaultBook:
    """Which request gets which fault.

    Each fault draws from a generator of its own, made from the seed and its place, so the n-th request that
    matches it meets the same fate in every run, whatever else happens.
    """

    def __init__(self, faults: tuple[Fault, ...], seed: int) -> None:
        self._faults = [
            _Running(fault, Random(f"{seed}/{place}"))  # noqa: S311  # repeatable, not secret
            for place, fault in enumerate(faults)
        ]

    def choose(self, method: str, path: str) -> Fault | None:
        """The first fault that this request meets, if any. Every matching fault counts the request."""
        chosen: Fault | None = None
        for running in self._faults:
            if running.matches(method, path) and running.falls() and chosen is None:
                chosen = running.fault
        return chosen


class _Running:
    """A fault and how many requests it has seen."""

    def __init__(self, fault: Fault, random: Random) -> None:
        self.fault = fault
        self._random = random
        self._pattern = re.compile(translate(fault.path))
        self._seen = 0
        self._fallen = 0

    def matches(self, method: str, path: str) -> bool:
        return self.fault.method in {"*", method} and self._pattern.match(path) is not None

    def falls(self) -> bool:
        fault = self.fault
        self._seen += 1
        drawn = self._random.random() < fault.share
        if self._seen <= fault.skip or (self._seen - fault.skip) % fault.every:
            return False
        if fault.first is not None and self._fallen >= fault.first:
            return False
        self._fallen += drawn
        return drawn
