"""What of each limit is in use now, and by which process: the ledgers of the state folder, read without writing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clerk_limits.documented import LIMITS, DocumentedLimit
from clerk_limits.ledger import InUse
from clerk_runner.account import Owner, out_now, owner_of

__all__ = ["InstanceUse", "LimitUse", "in_use"]


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit of one instance.

    Attributes:
        limit: its name.
        used: permits that are leased or still count; of the busiest subject where each has a window of its own.
        permits: permits that Clerk documents.
        period_s: of the window, as documented.
        subjects: how many users, organizations or memberships are in use; 0 where there is one window for all.
        first_back_s: seconds until the first settled permit is free again; None where all are under way.
        processes: permits by (pid, what it does); pid 0 is what was spent before a ledger began.
    """

    limit: str
    used: int
    permits: int
    period_s: float
    subjects: int
    first_back_s: float | None
    processes: dict[tuple[int, str], int]


@dataclass(frozen=True, slots=True)
class InstanceUse:
    """One ledger: whose it is, and every limit of which something is out."""

    owner: Owner
    limits: list[LimitUse]


def in_use(state: Path) -> list[InstanceUse]:
    """Every ledger of a state folder of which something is out now; none where there is no such folder."""
    found = []
    for folder in sorted((state / "ledger").glob("*/")):
        owner = owner_of(folder)
        if owner is not None and (rows := out_now(folder)):
            limits = [_use(limit, rows) for limit in LIMITS if limit.instance in (None, owner.kind)]
            found.append(InstanceUse(owner, [use for use in limits if use is not None]))
    return found


def _use(limit: DocumentedLimit, rows: Iterable[InUse]) -> LimitUse | None:
    own = [row for row in rows if row.scope == limit.name]
    if not own:
        return None
    by_subject: Counter[str] = Counter()
    processes: Counter[tuple[int, str]] = Counter()
    for row in own:
        by_subject[row.subject] += row.amount
        processes[row.pid, row.label] += row.amount
    settled = [row.left_s for row in own if not row.is_open]
    return LimitUse(
        limit=limit.name,
        used=max(by_subject.values()),
        permits=limit.permits,
        period_s=limit.period_s,
        subjects=len(by_subject) if limit.per_subject else 0,
        first_back_s=min(settled, default=None),
        processes=dict(processes.most_common()),
    )
