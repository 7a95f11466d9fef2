"""What a simulator is told before it starts."""

from dataclasses import dataclass, field
from typing import Literal

from .faults import Fault
from .formulas import CreatedAt, Pattern
from .latency import EffectMoment, Latency, Stall
from .windows import WindowKind

BulkMode = Literal["all-or-nothing", "partial", "partial-refused"]
BoundsMode = Literal["inclusive", "exclusive"]
DeletedCursorMode = Literal["resolved", "refused", "empty"]

DEVELOPMENT, PRODUCTION = "sk_test_", "sk_live_"
DEFAULT_KEY = DEVELOPMENT + "simulator"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """The whole setting of a simulator; the defaults play a small, quick development instance.

    Attributes:
        port: TCP port on 127.0.0.1; 0 takes a free one.
        keys: secret keys of the one instance; all `sk_test_` (development) or all `sk_live_` (production).
        windows: how limits count: `strict` sliding or `fixed` windows.
        count_refused: whether a refused request counts against the windows too.
        speed: divides the limits' periods; Retry-After stays in real seconds.
        latency: how long answers take.
        effect: where inside the latency the effect happens.
        stall: silence of the network, None for none.
        faults: failures that were asked for.
        seed: of everything that is drawn, ids included.
        users: users that exist by formula.
        user_email: their addresses, `{n}` counts from 0.
        user_created: how their creation is spread in time.
        user_quota: most users the instance holds; None: 100 for development, no bound for production.
        email_quota: most e-mails; None: 100 for development, no bound for production.
        organizations: organizations that exist by formula.
        members: members of each of them, taken from the users.
        roles: roles that organizations know.
        invitations: pending invitations that exist by formula.
        invitation_email: their addresses, `{n}` counts from 0.
        bulk: what a bulk creation with offenders does: nothing, and a refusal; the rest, and 200; the rest,
            and a refusal all the same.
        duplicate_lag_s: how long a new invitation goes unnoticed by the check for duplicates, as behind a replica.
        created_at_bounds: whether created_at_before and _after include their bound.
        deleted_cursor: what `starting_after` of a deleted user does: its place is known; 422; an empty page.
        rows: rows of every list of which this server knows nothing but its shape.
        application: part of the instance's window, 0 to 1, that a live application spends from inside.
        pretty: whether answers are indented over many lines, as JSON may be.
        arrivals: how many of the newest arrivals to keep in a log.

    Raises:
        ValueError: when a value makes no sense, saying which.
    """

    port: int = 0
    keys: tuple[str, ...] = (DEFAULT_KEY,)
    windows: WindowKind = "strict"
    count_refused: bool = False
    speed: float = 1.0
    latency: Latency = field(default_factory=Latency)
    effect: EffectMoment = "random"
    stall: Stall | None = None
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    users: int = 0
    user_email: str = "user{n}@example.com"
    user_created: CreatedAt = field(default_factory=CreatedAt)
    user_quota: int | None = None
    email_quota: int | None = None
    organizations: int = 0
    members: int = 0
    roles: tuple[str, ...] = ("org:admin", "org:member")
    invitations: int = 0
    invitation_email: str = "invited{n}@example.com"
    bulk: BulkMode = "all-or-nothing"
    duplicate_lag_s: float = 0.0
    created_at_bounds: BoundsMode = "inclusive"
    deleted_cursor: DeletedCursorMode = "resolved"
    rows: int = 3
    application: float = 0.0
    pretty: bool = False
    arrivals: int = 0

    def __post_init__(self) -> None:
        prefixes = {key[: len(PRODUCTION)] for key in self.keys}
        if prefixes not in ({DEVELOPMENT}, {PRODUCTION}):
            raise ValueError("keys: give one or more, all sk_test_… or all sk_live_…: they open one instance")
        if self.speed <= 0:
            raise ValueError("speed: must be above zero")
        for name in ("port", "users", "organizations", "members", "invitations", "rows", "arrivals"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must not be negative")
        if not 0 <= self.application <= 1:
            raise ValueError("application: must be from 0 to 1")
        if self.organizations and self.members > self.users:
            raise ValueError("members: an organization cannot have more members than there are users")
        Pattern(self.user_email)
        Pattern(self.invitation_email)

    @property
    def production(self) -> bool:
        """Whether the keys open a production instance."""
        return self.keys[0].startswith(PRODUCTION)
