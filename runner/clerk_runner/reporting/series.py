"""A run's time series, with flat memory: buckets that double their width whenever there are too many.

A run of a minute has buckets of a second, one of a week those of half an hour. Only seconds in which something
happened take a bucket. Latencies are counted by their magnitude: a percentile is true to 6 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor, log10, sqrt
from typing import Final

import msgspec

__all__ = ["MOST_BUCKETS", "Bucket", "Series", "latency_class", "percentile_s"]

MOST_BUCKETS: Final = 512
CLASSES_PER_DECADE: Final = 20
LEAST_S: Final = 0.001


class Bucket(msgspec.Struct, array_like=True):
    """What happened in one stretch of time.

    Attributes:
        requests: that ended, whatever became of them.
        throttled: of these, answered with 429.
        lost: of these, without a whole answer, or with one from 500 on.
        latency: answers by `latency_class`.
        done, skipped, failed: items that were settled.
        most_used: of each limit, by its name, the most permits that were seen out at once.
    """

    requests: int = 0
    throttled: int = 0
    lost: int = 0
    latency: dict[int, int] = {}
    done: int = 0
    skipped: int = 0
    failed: int = 0
    most_used: dict[str, int] = {}

    def add(self, other: Bucket) -> None:
        """Take in what another one counted."""
        self.requests += other.requests
        self.throttled += other.throttled
        self.lost += other.lost
        self.done += other.done
        self.skipped += other.skipped
        self.failed += other.failed
        for number, count in other.latency.items():
            self.latency[number] = self.latency.get(number, 0) + count
        for name, used in other.most_used.items():
            self.most_used[name] = max(used, self.most_used.get(name, 0))


class Series:
    """Buckets by the moment at which they begin.

    Args:
        width_s: how long each is, a power of two.
        buckets: by unix time in whole seconds, a multiple of the width.

    Attributes:
        changed: which of them were touched since they were last saved.
        rebuilt: whether all of them were, because they became wider.
    """

    def __init__(self, width_s: int = 1, buckets: Mapping[int, Bucket] | None = None) -> None:
        self.width_s = width_s
        self.buckets = dict(buckets or {})
        self.changed: set[int] = set()
        self.rebuilt = False

    def at(self, wall_s: float) -> Bucket:
        """The bucket of a moment, to count in."""
        begin = self._begin(wall_s)
        if begin not in self.buckets:
            self.buckets[begin] = Bucket()
            while len(self.buckets) > MOST_BUCKETS:
                self._widen()
            begin = self._begin(wall_s)
        self.changed.add(begin)
        return self.buckets[begin]

    def _begin(self, wall_s: float) -> int:
        return floor(wall_s / self.width_s) * self.width_s

    def _widen(self) -> None:
        self.width_s *= 2
        narrow, self.buckets = self.buckets, {}
        for begin, bucket in sorted(narrow.items()):
            self.buckets.setdefault(self._begin(begin), Bucket()).add(bucket)
        self.changed = set(self.buckets)
        self.rebuilt = True


def latency_class(seconds: float) -> int:
    """The magnitude of a latency: twenty classes for each power of ten, from a millisecond on.

    Example:
        >>> latency_class(0.0002), latency_class(0.001), latency_class(0.1), latency_class(1.0)
        (0, 0, 40, 60)
    """
    return max(0, floor(log10(max(seconds, LEAST_S) / LEAST_S) * CLASSES_PER_DECADE + 1e-9))


def class_ends_s(number: int) -> tuple[float, float]:
    """Between which latencies a class lies."""
    low, high = (LEAST_S * 10 ** (end / CLASSES_PER_DECADE) for end in (number, number + 1))
    return low, high


def percentile_s(counts: Mapping[int, int], part: float) -> float | None:
    """The latency that this part of the answers did not exceed, in the middle of its class; None without answers.

    Example:
        >>> round(percentile_s({40: 90, 60: 10}, 0.5), 2), round(percentile_s({40: 90, 60: 10}, 0.99), 2)
        (0.11, 1.06)
    """
    total = sum(counts.values())
    seen = 0
    for number in sorted(counts):
        seen += counts[number]
        if seen >= part * total:
            low, high = class_ends_s(number)
            return sqrt(low * high)
    return None


def summed(buckets: Iterable[Bucket]) -> Bucket:
    """All of them as one."""
    whole = Bucket()
    for bucket in buckets:
        whole.add(bucket)
    return whole
