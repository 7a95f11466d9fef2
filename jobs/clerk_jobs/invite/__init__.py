"""``kind: invite``: rows become invitations to the instance or to its organizations.

Pure functions and conversations; nothing here sends anything. The parts, in the order in which a run uses them:

``drafts``   a row becomes a draft and, when its turn comes, a payload
``screen``   who is invited, registered or a member already
``lanes``    the two ways to send, and what an answer means for each item
``settle``   after a lost answer or a refused bulk call: what has really happened
``work``     all of it, as the engine sees it
"""

from clerk_jobs.invite.drafts import Drafting
from clerk_jobs.invite.lanes import BULK_SIZE, Invitations, Lane
from clerk_jobs.invite.screen import PendingPages, Screening, Seen
from clerk_jobs.invite.settle import Settling
from clerk_jobs.invite.work import InviteWork

__all__ = [
    "BULK_SIZE",
    "Drafting",
    "Invitations",
    "InviteWork",
    "Lane",
    "PendingPages",
    "Screening",
    "Seen",
    "Settling",
]
