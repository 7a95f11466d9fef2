"""The three kinds of metadata: who reads and writes each, what each is for, and which one a key belongs to.

Source: Clerk's documentation, "User metadata", read August 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from clerk_jobs.catalog.operation import Operation
from clerk_jobs.catalog.schema import Json

__all__ = ["KINDS", "MetadataKind", "explain_kinds", "kinds_of", "kinds_written", "recommend", "replaces"]


@dataclass(frozen=True, slots=True)
class MetadataKind:
    """One kind.

    Attributes:
        field: its name in the API.
        access: who reads and writes it.
        use: what it is for.
    """

    field: str
    access: str
    use: str

    @property
    def word(self) -> str:
        """``public``, ``private`` or ``unsafe``."""
        return self.field.removesuffix("_metadata")


KINDS: Final[Mapping[str, MetadataKind]] = {
    kind.field: kind
    for kind in (
        MetadataKind("public_metadata", "client and server read, server writes", "plan tier, roles, feature flags"),
        MetadataKind("private_metadata", "server only", "Stripe ids, compliance flags, internal ids"),
        MetadataKind(
            "unsafe_metadata",
            "client and server read and write",
            "ephemeral UI state, onboarding steps, nothing sensitive",
        ),
    )
}
"""By name in the API, in the order in which they are explained."""

# The first that fits decides: what must not be seen comes before what may be.
_RECOMMENDED: Final = (
    (
        "private_metadata",
        re.compile(
            r"stripe|customer|billing_id|invoice|payment|internal|compliance|kyc|gdpr|audit|secret|token|crm|salesforce|"
            r"hubspot|tax|ssn|legacy|_ref$|external|note|risk|fraud|credit|score|(?:^|_)ids?$"
        ),
        "only the server may see ids and internal facts",
    ),
    (
        "unsafe_metadata",
        re.compile(r"theme|dark_mode|sidebar|tour|dismissed|step|draft|last_viewed|ui_|layout|color|banner|preference"),
        "the client itself keeps its state there, and nothing depends on it",
    ),
    (
        "public_metadata",
        re.compile(
            r"plan|tier|role|feature|flag|onboard|beta|cohort|seat|admin|subscription|status|level|premium|trial|member|"
            r"enabled|access|permission|limit|team|department|title|locale|language|verified"
        ),
        "the client reads it and only the server can change it",
    ),
)


def recommend(key: str) -> tuple[MetadataKind, str] | None:
    """The kind that a key belongs to by its name, and why; None where the name does not tell.

    Example:
        >>> [recommend(key)[0].word for key in ("plan", "onboarded", "stripe_id", "theme")]
        ['public', 'public', 'private', 'unsafe']
        >>> recommend("xyzzy") is None
        True
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    for field, pattern, reason in _RECOMMENDED:
        if pattern.search(name):
            return KINDS[field], reason
    return None


def explain_kinds(chosen: Sequence[str]) -> list[str]:
    """All three kinds, one a line, those that are chosen marked."""
    return [
        f"{'->' if kind.field in chosen else '  '} {kind.field:16}  {kind.access}: {kind.use}"
        for kind in KINDS.values()
    ]


def kinds_written(body: Json) -> tuple[str, ...]:
    """The kinds that a body writes, in its top level or in the elements of an array."""
    elements = [body] if isinstance(body, Mapping) else body if isinstance(body, list) else []
    found = {name for one in elements if isinstance(one, Mapping) for name in one if name in KINDS}
    return tuple(name for name in KINDS if name in found)


def kinds_of(operation: Operation) -> tuple[str, ...]:
    """The kinds that an operation can write."""
    if operation.body is None:
        return ()
    schema = operation.body.schema
    fields = (schema.items or schema).properties
    return tuple(name for name in KINDS if name in fields)


def replaces(operation: Operation) -> bool | None:
    """Whether an operation replaces a kind of metadata as a whole (True), merges it (False), or first sets it (None).

    PATCH of a user or an organization with metadata replaces it, at the API versions that take it at all.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> [replaces(load().operation(name)) for name in ("ReplaceUserMetadata", "UpdateUserMetadata", "CreateUser")]
        [True, False, None]
    """
    if operation.method == "POST":
        return None
    return operation.method == "PUT" or not operation.path.endswith("/metadata")
