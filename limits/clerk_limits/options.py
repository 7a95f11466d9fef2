"""How much of Clerk's limits a job takes: the `limits:` of a job file as one frozen value."""

import math
from dataclasses import dataclass

from clerk_limits.documented import InstanceKind

__all__ = ["GateOptions"]

_DEFAULT_SHARE = {InstanceKind.PRODUCTION: 0.7, InstanceKind.DEVELOPMENT: 0.9}


@dataclass(frozen=True, slots=True)
class GateOptions:
    """The part of every limit that is ours; the rest stays with the live application.

    Attributes:
        share: Of the instance's window and of the per-subject windows, above 0 and up to 1; None means 0.7
            for a production instance and 0.9 for a development one.
        quota_share: Of hourly quotas, above 0 and up to 1: the application invites people too.
        per_hour: Items (not calls) in any hour, at least 1; None means no limit of our own.
        per_day: Items in any 24 hours, at least 1; None means no limit of our own.
        early_release_s: Count a slot of the instance's window from so many seconds after its send at the
            latest, instead of from the response: for slow list calls on steady networks. A 429 switches it
            off. None: strict.
        speed: For rehearsals: divides every period, guard, hold and backoff of ours, never a Retry-After.

    Raises:
        ValueError: Naming the field that is out of its range.

    Example:
        >>> GateOptions().share_for(InstanceKind.PRODUCTION)
        0.7
        >>> GateOptions(share=1.5)
        Traceback (most recent call last):
        ...
        ValueError: share must be above 0 and at most 1, not 1.5
    """

    share: float | None = None
    quota_share: float = 0.9
    per_hour: int | None = None
    per_day: int | None = None
    early_release_s: float | None = None
    speed: float = 1.0

    def __post_init__(self) -> None:
        for name, share in (("share", self.share), ("quota_share", self.quota_share)):
            if share is not None and not 0 < share <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {share}")
        for name, items in (("per_hour", self.per_hour), ("per_day", self.per_day)):
            if items is not None and items < 1:
                raise ValueError(f"{name} must be at least 1, not {items}")
        if self.early_release_s is not None and not 0 < self.early_release_s <= 10:
            raise ValueError(f"early_release must be above 0 and at most 10 s, not {self.early_release_s}")
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ValueError(f"speed must be above 0, not {self.speed}")

    def share_for(self, instance: InstanceKind) -> float:
        """The share of burst limits that applies to an instance of this kind."""
        return _DEFAULT_SHARE[instance] if self.share is None else self.share
