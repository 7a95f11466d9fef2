"""A series cut into so many equal stretches as a picture has room for."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from clerk_runner.reporting.series import Bucket, Series, summed

__all__ = ["Timeline", "clock_label", "timeline"]

MOST: Final = 160
MOST_TABLE: Final = 24
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Timeline:
    """Equal stretches of time, one after the other, with nothing left out.

    Attributes:
        begin_s: unix time of the first one.
        width_s: seconds of each.
    """

    begin_s: int
    width_s: int
    stretches: list[Bucket]

    @property
    def end_s(self) -> int:
        """Unix time at which the last one ends."""
        return self.begin_s + self.width_s * len(self.stretches)

    def moment(self, number: int) -> str:
        """When a stretch begins, for people."""
        return clock_label(self.begin_s + number * self.width_s, days=self.end_s - self.begin_s > DAY_S)

    def labels(self, count: int = 5) -> list[str]:
        """Moments at equal distances, the first and the last among them; fewer where two would read the same."""
        span_s, days = self.end_s - self.begin_s, self.end_s - self.begin_s > DAY_S
        count = min(count, span_s + 1)
        return [clock_label(self.begin_s + span_s * number / (count - 1), days=days) for number in range(count)]

    def coarser(self) -> Timeline:
        """The same with so few stretches that they can be read as a table."""
        at_once = -(-len(self.stretches) // MOST_TABLE)
        groups = [self.stretches[start : start + at_once] for start in range(0, len(self.stretches), at_once)]
        return Timeline(self.begin_s, self.width_s * at_once, [summed(group) for group in groups])


def timeline(series: Series) -> Timeline | None:
    """The whole of a series; None where nothing was noted."""
    if not series.buckets:
        return None
    begin_s, end_s = min(series.buckets), max(series.buckets) + series.width_s
    at_once = -(-(end_s - begin_s) // (series.width_s * MOST))
    width_s = series.width_s * at_once
    stretches = [Bucket() for _ in range(-(-(end_s - begin_s) // width_s))]
    for moment_s, bucket in series.buckets.items():
        stretches[(moment_s - begin_s) // width_s].add(bucket)
    return Timeline(begin_s, width_s, stretches)


def clock_label(wall_s: float, *, days: bool) -> str:
    """A time of day, with the day where a run lasts longer than one."""
    when = datetime.datetime.fromtimestamp(wall_s).astimezone()
    return f"{when:%d %b %H:%M}" if days else f"{when:%H:%M:%S}"
