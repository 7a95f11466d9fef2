"""What the simulator saw: requests, refusals, limits, and every effect with its time.

An effect is something that happened at Clerk: an invitation was created (and its e-mail sent), a user
deleted. It is counted by operation and key (the address, the id), so "nobody was invited twice" can be read
off afterwards.
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from itertools import islice

# Beyond so many different keys effects are still counted in total, but no longer one by one.
_KEYS_KEPT = 2_000_000
_LATE_KEPT = 1000
_REPEATED_SHOWN = 1000


@dataclass(slots=True)
class _Client:
    requests: int = 0
    throttled: int = 0


@dataclass(slots=True)
class _Effects:
    """The effects of one operation: the times (unix milliseconds) by key."""

    total: int = 0
    repeated_keys: int = 0
    by_key: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def repeated(self) -> dict[str, list[int]]:
        """The first keys that were affected more than once."""
        more = ((key, list(times)) for key, times in self.by_key.items() if len(times) > 1)
        return dict(islice(more, _REPEATED_SHOWN))


class Report:
    """Counts for as long as the simulator runs.

    Args:
        arrivals: how many of the newest arrivals to keep.
        email_quota: after so many e-mails the others are dropped, None for no bound.
    """

    def __init__(self, arrivals: int, email_quota: int | None) -> None:
        self._arrivals: deque[dict[str, object]] = deque(maxlen=arrivals)
        self._email_quota = email_quota
        self._emails = 0
        self._dropped_emails = 0
        self._requests: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._clients: defaultdict[str, _Client] = defaultdict(_Client)
        self._faults: Counter[str] = Counter()
        self._effects: defaultdict[str, _Effects] = defaultdict(_Effects)
        self._late: deque[dict[str, object]] = deque(maxlen=_LATE_KEPT)
        self._late_total = 0
        self.busy = 0
        self.most_at_once = 0

    def arrive(self, operation: str, client: str, at_ms: int) -> None:
        """Note a request that has arrived."""
        self._clients[client].requests += 1
        self.busy += 1
        self.most_at_once = max(self.most_at_once, self.busy)
        if self._arrivals.maxlen:
            self._arrivals.append({"at_ms": at_ms, "operation": operation, "client": client})

    def answer(self, operation: str, client: str, status: int) -> None:
        """Note how a request ended; status 0 is one that got no answer."""
        self.busy -= 1
        self._requests[operation][status] += 1
        if status == 429:
            self._clients[client].throttled += 1

    def fault(self, text: str) -> None:
        """Note a fault that fell on a request."""
        self._faults[text] += 1

    def effect(self, operation: str, key: str, at_ms: int, email: bool, connected: bool) -> None:
        """Note an effect.

        Args:
            operation: which one.
            key: on whom or what.
            at_ms: when, unix milliseconds.
            email: whether an e-mail goes out for it.
            connected: whether the client was still there to hear of it.
        """
        effects = self._effects[operation]
        effects.total += 1
        known = effects.by_key.get(key)
        if known is not None or len(effects.by_key) < _KEYS_KEPT:
            effects.by_key[key] = (*(known or ()), at_ms)
            effects.repeated_keys += known is not None and len(known) == 1
        if email and (self._email_quota is None or self._emails < self._email_quota):
            self._emails += 1
        elif email:
            self._dropped_emails += 1
        if not connected:
            self._late_total += 1
            self._late.append({"operation": operation, "key": key, "at_ms": at_ms})

    def effects(self, operation: str) -> dict[str, list[int]]:
        """When each key was affected by an operation: unix milliseconds, oldest first."""
        effects = self._effects.get(operation)
        return {key: list(times) for key, times in effects.by_key.items()} if effects else {}

    def as_json(self) -> dict[str, object]:
        """The whole report, effects in total and those that happened more than once."""
        return {
            "requests": {name: _by_status(counts) for name, counts in sorted(self._requests.items())},
            "requests_total": sum(counts.total() for counts in self._requests.values()),
            "throttled": sum(client.throttled for client in self._clients.values()),
            "clients": {
                name: {"requests": client.requests, "throttled": client.throttled}
                for name, client in sorted(self._clients.items())
            },
            "most_at_once": self.most_at_once,
            "faults": dict(self._faults),
            "effects": {
                name: {
                    "total": effects.total,
                    "keys": len(effects.by_key),
                    "repeated_keys": effects.repeated_keys,
                    "repeated": effects.repeated(),
                }
                for name, effects in sorted(self._effects.items())
            },
            "emails": {"sent": self._emails, "dropped": self._dropped_emails},
            "effects_after_disconnect": {"total": self._late_total, "newest": list(self._late)},
            "arrivals": list(self._arrivals),
        }


def _by_status(counts: Counter[int]) -> dict[str, int]:
    return {str(status): count for status, count in sorted(counts.items())}
