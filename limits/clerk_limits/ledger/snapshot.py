"""What is out now, read without writing: for plans, and for people who ask who uses the budget."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from clerk_limits.gate import Gate
from clerk_limits.ledger.lender import QUOTAS, WINDOWS
from clerk_limits.ledger.terms import Moment

__all__ = ["InUse", "charge_planned", "read_in_use"]


class InUse(NamedTuple):
    """Permits of one window that one process holds or has spent.

    Attributes:
        scope: Name of the limit.
        subject: Whose window it is, empty where there is one for all.
        amount: Permits.
        is_open: Whether they are leased and not settled yet.
        left_s: Seconds until they are free again at the latest.
        pid, label: Of the process that took them; 0 and empty where nobody knows.
    """

    scope: str
    subject: str
    amount: int
    is_open: bool
    left_s: float
    pid: int
    label: str


def read_in_use(folder: Path, boot: str, *, steady_s: float, boot_s: float, wall_s: float) -> list[InUse]:
    """All permits that are out in a ledger; what cannot be read counts as nothing.

    Args:
        folder: Of the ledger.
        boot: Names the machine's present run.
        steady_s: Now on the monotonic clock that windows count in.
        boot_s: Now on the clock that quotas count in.
        wall_s: Now, as unix time.
    """
    windows = _read(folder / WINDOWS, boot, Moment(steady_s, wall_s), durable=False)
    return windows + _read(folder / QUOTAS, boot, Moment(boot_s, wall_s), durable=True)


def charge_planned(gate: Gate, in_use: Iterable[InUse], wall_s: float) -> None:
    """Take from a planned gate what was spent.

    A permit of a quota that is out has most likely been sent; one of a short window comes back too soon to matter.
    """
    known = {row.name for row in gate.usage()}
    for one in in_use:
        if one.subject or one.scope not in known:
            continue
        spec = gate.window_spec(one.scope)
        if spec.quota or not one.is_open:
            held_s = spec.after_response_s
            gate.charge(one.scope, [wall_s + min(one.left_s, held_s) - held_s] * one.amount)


def _read(path: Path, boot: str, now: Moment, *, durable: bool) -> list[InUse]:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            rows = connection.execute(
                "SELECT scope, subject, amount, open, boot, until_steady, until_wall, coalesce(pid, 0), "
                "coalesce(label, '') FROM lease LEFT JOIN holder ON holder.id = lease.holder"
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return []
    found = []
    for scope, subject, amount, is_open, of_boot, until_steady, until_wall, pid, label in rows:
        steady_left_s = until_steady - now.steady_s if of_boot == boot else 0.0
        left_s = max(steady_left_s, until_wall - now.wall_s) if durable else steady_left_s
        if left_s > 0:
            found.append(InUse(scope, subject, amount, bool(is_open), left_s, pid, label))
    return found
