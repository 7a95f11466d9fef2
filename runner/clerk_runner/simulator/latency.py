"""How long an answer takes, when inside that time its effect happens, and a network that stalls.

A client that dies between its request and the answer must not know whether the effect happened; so the effect
falls somewhere inside the latency, by default at a random point of it.
"""

import math
import re
from dataclasses import dataclass
from random import Random
from typing import Literal

EffectMoment = Literal["early", "late", "random"]

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)?")
_RANGE = re.compile(r"(?:(lognormal|uniform):)?(\d+(?:\.\d+)?)(?:ms|s)?-(\d+(?:\.\d+)?)(ms|s)")
# Of a normal distribution, 90 % lies within 1.645 standard deviations of the middle.
_SIGMAS_OF_90_PERCENT = 1.6448536


def parse_duration(text: str) -> float:
    """Seconds of "250us", "50ms", "1.5s", "4h", "30d"; a bare number is seconds.

    Raises:
        ValueError: when the text is no such duration.

    Example:
        >>> parse_duration("50ms"), parse_duration("4h")
        (0.05, 14400.0)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write 50ms, 1.5s, 4h or 30d")
    return float(match[1]) * _UNITS[match[2] or "s"]


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of answer times: `low_s` to `high_s`.

    - constant: always `low_s`.
    - lognormal: 90 % of the answers lie between `low_s` and `high_s`, the rest in its long tail.
    - uniform: evenly between the two.
    """

    shape: Literal["constant", "lognormal", "uniform"] = "constant"
    low_s: float = 0.0
    high_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Latency":
        """Read "50ms", "0.1-0.8s" (lognormal), "1-2s" (uniform), or either with its shape named before.

        Without a name a range is lognormal where its ends are more than a factor of two apart, else uniform.

        Raises:
            ValueError: when the text is none of these.

        Example:
            >>> Latency.parse("0.1-0.8s").shape, Latency.parse("1-2s").shape, Latency.parse("50ms").low_s
            ('lognormal', 'uniform', 0.05)
        """
        match = _RANGE.fullmatch(text.strip())
        if match is None:
            seconds = parse_duration(text)
            return cls("constant", seconds, seconds)
        low_s, high_s = (float(match[group]) * _UNITS[match[4]] for group in (2, 3))
        if not 0 < low_s <= high_s:
            raise ValueError(f"{text!r} is not a range of latencies; write the smaller one first, above zero")
        wide = high_s > 2 * low_s
        shape: Literal["lognormal", "uniform"] = "lognormal" if wide else "uniform"
        if match[1] is not None:
            shape = "uniform" if match[1] == "uniform" else "lognormal"
        return cls(shape, low_s, high_s)

    def draw(self, random: Random) -> float:
        """Seconds that one answer takes."""
        if self.shape == "constant":
            return self.low_s
        if self.shape == "uniform":
            return random.uniform(self.low_s, self.high_s)
        middle = (math.log(self.low_s) + math.log(self.high_s)) / 2
        sigma = (math.log(self.high_s) - math.log(self.low_s)) / (2 * _SIGMAS_OF_90_PERCENT)
        return random.lognormvariate(middle, sigma)


def effect_share(moment: EffectMoment, random: Random) -> float:
    """Which part of the latency passes before the effect: 0.0 (early) to 1.0 (late)."""
    if moment == "random":
        return random.random()
    return 0.0 if moment == "early" else 1.0


@dataclass(frozen=True, slots=True)
class Stall:
    """A network that is silent for `length_s` in every `period_s`; what waited arrives together."""

    length_s: float
    period_s: float

    @classmethod
    def parse(cls, text: str) -> "Stall":
        """Read "1s/17s": one second of silence in every seventeen.

        Raises:
            ValueError: when the text is no such pair, or the silence is as long as the period.
        """
        length, slash, period = text.partition("/")
        if not slash:
            raise ValueError(f"{text!r} is not a stall; write LENGTH/PERIOD, such as 1s/17s")
        stall = cls(parse_duration(length), parse_duration(period))
        if not 0 < stall.length_s < stall.period_s:
            raise ValueError(f"{text!r} is not a stall; its length must be above zero and below its period")
        return stall

    def wait_s(self, now_s: float) -> float:
        """How long a request is held up that comes `now_s` after the start; periods end in silence."""
        into_s = now_s % self.period_s
        return self.period_s - into_s if into_s >= self.period_s - self.length_s else 0.0
