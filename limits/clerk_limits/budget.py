"""Every window and bucket of one instance, and which of them a call counts against."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from clerk_limits.aimd import Share
from clerk_limits.allowance import Allowance, Usage, allowances, own_allowances
from clerk_limits.documented import DocumentedLimit, InstanceKind, LimitKind, LimitScope
from clerk_limits.lane import Need, Scope
from clerk_limits.options import GateOptions
from clerk_limits.pacer import Pacer
from clerk_limits.turnstile import Turnstile
from clerk_limits.window import DEFAULT_GUARD_S, DEFAULT_LOST_HOLD_S, EarlyRelease, SlidingWindow, Window

__all__ = ["Budget", "WindowFactory", "WindowSpec", "sliding_window"]


_FEW_SUBJECTS = 1_000
"""So many are not worth a look at which of them are still in use."""

STRICT = EarlyRelease()
"""A slot's period begins with the response."""


class WindowSpec(NamedTuple):
    """What a window is made from; all durations are seconds after `speed`.

    Attributes:
        name: Of the limit.
        subject: Whose window it is where each user, organization or membership has one, else None.
        allowed: Permits in any period.
        period_s: The period.
        guard_s: Added to the period after a response.
        lost_hold_s: Added to the period where no response came.
        quota: Whether the period is that of a quota, which outlives the machine's run.
        share: What 429s have made of it; None where they make nothing of it.
        early: When a slot's period begins.
    """

    name: str
    subject: str | None
    allowed: int
    period_s: float
    guard_s: float
    lost_hold_s: float
    quota: bool
    share: Share | None
    early: EarlyRelease

    @property
    def is_busy(self) -> bool:
        """Whether it is asked many times a second: a short window that is everybody's."""
        return not self.quota and self.subject is None

    @property
    def after_response_s(self) -> float:
        """How long a permit counts from its response."""
        return self.period_s + self.guard_s

    @property
    def after_loss_s(self) -> float:
        """How long it counts from when no response came."""
        return self.period_s + max(self.lost_hold_s, self.guard_s)


WindowFactory = Callable[[WindowSpec], Window]
"""Makes the windows of a gate: in this process's memory, or leased from a store that processes share."""


def sliding_window(spec: WindowSpec) -> Window:
    """A window of this process alone."""
    return SlidingWindow(
        spec.allowed,
        spec.period_s,
        guard_s=spec.guard_s,
        lost_hold_s=spec.lost_hold_s,
        share=spec.share,
        early=spec.early,
    )


class Budget:
    """The scopes of one instance: its own, its endpoints', the job's, and one for each subject in use.

    A subject's scope lives while it is in use and until its window is empty again; then it is forgotten. Memory
    follows the calls of one period, not the number of users.

    Args:
        instance: Whose limits.
        options: How much of them is ours.
        window: Makes the windows; those of the job's own limits are always this process's alone.
        turnstile: Told of a scope whose window got news from outside of this process.

    Attributes:
        share: What 429s have made of the instance's window.
        early: When a slot's period begins in the instance's window.
    """

    def __init__(
        self,
        instance: InstanceKind,
        options: GateOptions,
        window: WindowFactory,
        turnstile: Turnstile,
    ) -> None:
        self._options = options
        self._window = window
        self._turnstile = turnstile
        self._allowances = {entry.name: entry for entry in allowances(instance, options)}
        instance_limit = self._allowances[LimitScope.INSTANCE.value]
        self.share = Share(instance_limit.period_s / options.speed)
        self.early = EarlyRelease(None if options.early_release_s is None else options.early_release_s / options.speed)
        self._subject_specs = {name: self.spec(name) for name, entry in self._allowances.items() if entry.subject}
        self._scopes = {entry.name: self._scope(entry) for entry in self._allowances.values() if entry.subject is None}
        self._own = [self._scopes[entry.name] for entry in own_allowances(options)]
        self._subjects: dict[tuple[str, str], Scope] = {}
        self._most_subjects = _FEW_SUBJECTS
        """Where there are so many, those that are in use no more are forgotten."""

    @property
    def counts_items(self) -> bool:
        """Whether the job has limits of its own, which count items."""
        return bool(self._own)

    def common_needs(self, limits: Iterable[DocumentedLimit], items: int, spare: int) -> tuple[Need, ...]:
        """What a call takes from the windows that are everybody's, the most specific scope first, the instance last.

        Raises:
            ValueError: When a limit has no room for such a call however long it waits.
        """
        own = [Need(scope, items, 0) for scope in self._own if items]
        for need in own:
            if need.amount > need.scope.window.allowed:
                raise ValueError(
                    f"a call of {items} items can never pass a limit of {need.scope.window.allowed} items "
                    f"({need.scope.name}); send fewer items in a call or raise the limit"
                )
        quotas: list[Need] = []
        general: list[Need] = []
        for limit in limits:
            if limit.per_subject:
                continue
            scope = self._scopes[limit.name]
            if limit.kind is LimitKind.QUOTA:
                quotas.append(Need(scope, 1, min(spare, scope.window.allowed - 1)))
            else:
                general.append(Need(scope, 1, 0))
        return (*quotas, *own, *general)

    def subject_need(self, name: str, subject: str, now_s: float) -> Need:
        """What a call takes from its subject's own window, which is made where there is none: it comes before all."""
        key = (name, subject)
        scope = self._subjects.get(key)
        if scope is None:
            if len(self._subjects) >= self._most_subjects:
                self._forget_idle(now_s)
            scope = self._subjects[key] = self._subject_scope(name, subject)
        return Need(scope, 1, 0)

    def known_subject_need(self, name: str, subject: str) -> Need | None:
        """The same, but None where it has no window yet: all of its permits are there."""
        scope = self._subjects.get((name, subject))
        return None if scope is None else Need(scope, 1, 0)

    def items_free(self, now_s: float) -> int:
        """Items that the job's own limits have room for now, at least 0; ask `counts_items` first."""
        return max(0, min(scope.window.free(now_s) for scope in self._own))

    def items_free_at(self, now_s: float, items: int) -> float | None:
        """When they have room for so many if nobody takes one before; None while open permits decide."""
        latest_s = now_s
        for scope in self._own:
            when_s = scope.next_at(now_s, items, 0)
            if when_s is None:
                return None
            latest_s = max(latest_s, when_s)
        return latest_s

    def charge(self, name: str, ended_at_s: Iterable[float]) -> None:
        """Count permits that an earlier process spent.

        Raises:
            ValueError: When there is no such limit, or each subject has its own window.
        """
        scope = self._scopes.get(name)
        if scope is None:
            raise ValueError(f"no limit is called {name!r}; there are {', '.join(self._scopes)}")
        for moment_s in ended_at_s:
            scope.window.charge(moment_s)

    def usage(self, now_s: float, closed: Mapping[str, float]) -> list[Usage]:
        """Every limit's use now; `closed` holds the seconds for which a limit's operations stay closed."""
        rows = []
        for entry in self._allowances.values():
            scopes = (
                [self._scopes[entry.name]]
                if entry.subject is None
                else [scope for (name, _), scope in self._subjects.items() if name == entry.name]
            )
            used = max((scope.window.used(now_s) for scope in scopes), default=0)
            rows.append(
                Usage(
                    name=entry.name,
                    used=used,
                    allowed=entry.allowed,
                    permits=entry.permits,
                    period_s=entry.period_s / self._options.speed,
                    bucket_capacity=entry.capacity,
                    refill_per_s=entry.rate_per_s * self._options.speed,
                    blocked=closed.get(entry.name, 0.0),
                )
            )
        return rows

    def describe(self) -> dict[str, str]:
        """The line of every limit, by name."""
        return {name: entry.describe() for name, entry in self._allowances.items()}

    def _scope(self, entry: Allowance) -> Scope:
        general = entry.name == LimitScope.INSTANCE.value
        pacer = Pacer(entry.name, entry.capacity, entry.rate_per_s * self._options.speed)
        make = sliding_window if entry.permits is None else self._window
        return Scope(entry.name, make(self.spec(entry.name)), pacer, self._turnstile, general=general)

    def _subject_scope(self, name: str, subject: str) -> Scope:
        """A subject's own: there are as many of them as rows, so it is made of as little as can be.

        A bucket as deep as its window, refilled at the window's rate, is never empty before the window is: it has none.
        """
        window = self._window(WindowSpec(name, subject, *self._subject_specs[name][2:]))
        return Scope(name, window, None, self._turnstile, general=False)

    def spec(self, name: str) -> WindowSpec:
        """What the window of a limit is made from; one of a subject has its name in it as well."""
        entry, speed = self._allowances[name], self._options.speed
        general = name == LimitScope.INSTANCE.value
        return WindowSpec(
            name=name,
            subject=None,
            allowed=entry.allowed,
            period_s=entry.period_s / speed,
            guard_s=DEFAULT_GUARD_S / speed,
            lost_hold_s=DEFAULT_LOST_HOLD_S / speed,
            quota=entry.is_quota,
            share=self.share if general else None,
            early=self.early if general else STRICT,
        )

    def _forget_idle(self, now_s: float) -> None:
        """Forget the subjects that are in use no more, and look again when there are twice as many as stay."""
        self._subjects = {
            key: scope for key, scope in self._subjects.items() if scope.lanes or not scope.window.idle(now_s)
        }
        self._most_subjects = max(_FEW_SUBJECTS, 2 * len(self._subjects))
