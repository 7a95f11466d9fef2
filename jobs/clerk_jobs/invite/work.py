"""An invitation job as the engine sees it: calls, settlements, and conversations that end doubt."""

from __future__ import annotations

from collections.abc import Sequence

from clerk_jobs.call import Call, Item, Lane, Outcome, Reply, Talk
from clerk_jobs.invite.lanes import Invitations
from clerk_jobs.invite.screen import Screening
from clerk_jobs.invite.settle import Settling
from clerk_jobs.jobfile import InviteJob

__all__ = ["InviteWork"]


class InviteWork(Invitations):
    """Everything that a loaded job decides about its invitations.

    Args:
        job: the loaded job file.
    """

    asks_about = 0
    """Each attempt alone: its invitations are told from older ones by the time of its own intent."""

    def __init__(self, job: InviteJob) -> None:
        """Choose endpoints and policies."""
        organizations = job.organization is not None
        super().__init__(organizations=organizations, lanes=job.lanes, on_existing=job.on_existing)
        self.screening = Screening(organizations=organizations, on_existing=job.on_existing)
        self._settling = Settling(organizations=organizations, on_existing=job.on_existing)

    def prepare(self, lane: Lane, items: Sequence[Item]) -> Talk[Call | list[Outcome]]:
        """Revoke what has to go first (``on_existing: reinvite``), then the request that carries these items."""
        for item in items:
            if item.revoke is not None:
                yield self.revoke(item)
        return self.call(lane, items)

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:
        """Settle items of one group whose answer was lost, once their quarantine is over."""
        return self._settling.reconcile(items, since_ms)

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:
        """Take a refused bulk call apart."""
        return self._settling.after_refusal(items, since_ms, reply)
