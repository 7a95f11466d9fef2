"""The words of a ledger's trades: what is asked, brought back and answered, and when."""

from typing import NamedTuple

from clerk_limits.aimd import Shrunk

__all__ = ["EVERY_SUBJECT", "Answer", "Ask", "Block", "Moment", "Return", "Trade"]

EVERY_SUBJECT = "*"
"""The subject of a lease that counts against each subject of its scope; no id is written so."""


class Moment(NamedTuple):
    """Now, on both clocks: seconds on the machine's steady clock, and unix time."""

    steady_s: float
    wall_s: float


class Ask(NamedTuple):
    """What a process wants of one window.

    Attributes:
        most: Permits at most; fewer are welcome down to `least`.
        spare: Permits that must stay free beside.
        allowed: Of this window, by the asking process's own share.
        hold_s: How long an unsettled permit counts: until its answer must have come, and a period beyond.
        period_s: The window's period.
        prolongs: The lease whose life is to be longer; 0 for a new one. Where it is gone, a new one will do.
        joins: The lease that new permits are added to, whose life is longer then; likewise.
        alone: Permits at most where no other process has any of the window, and none waits.
    """

    scope: str
    subject: str
    least: int
    most: int
    spare: int
    allowed: int
    hold_s: float
    period_s: float
    prolongs: int = 0
    joins: int = 0
    alone: int = 0


class Return(NamedTuple):
    """Permits of a lease that have ended.

    Attributes:
        lease: Its number; 0 for permits that were spent without one.
        hold_s: Seconds from now for which they still count; None for what was never sent.
        spent_s: The whole hold, of which `hold_s` is left; what a wall clock that jumps is clamped to.
    """

    lease: int
    scope: str
    subject: str
    amount: int
    hold_s: float | None
    spent_s: float

    def later(self, by_s: float) -> "Return":
        """The same, told so many seconds later."""
        if self.hold_s is None:
            return self
        return Return(self.lease, self.scope, self.subject, self.amount, self.hold_s - by_s, self.spent_s)


class Answer(NamedTuple):
    """What became of one ask.

    Attributes:
        lease: The number of the lease that they are in; 0 where nothing was granted.
        granted: Permits in it.
        used: Permits of the window that are out now, in all processes.
        wait_s: Seconds until enough settled permits return; None where that is not known.
        unsettled: Whether somebody holds permits that may come back at any time.
    """

    lease: int
    granted: int
    used: int
    wait_s: float | None
    unsettled: bool


class Block(NamedTuple):
    """An operation that a 429 closed, and for how many seconds yet."""

    operation: str
    left_s: float


class Trade(NamedTuple):
    """The outcome of a transaction: an answer for each ask, and what others have to tell."""

    answers: list[Answer]
    blocks: list[Block]
    shares: dict[str, Shrunk]
