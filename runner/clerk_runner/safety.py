"""What stands before every write, for jobs and for single calls alike: scopes and consent.

The order is fixed: first the scopes, then the look at what will happen, then the question. Whatever is missing ends
with exit 3 before anything was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from clerk_runner.credentials import Credentials
from clerk_runner.errors import AccessError

__all__ = ["SCOPE_QUESTION", "Consent", "Scope", "require_consent", "require_count", "require_scopes", "scope_line"]

Scope = Literal["write", "delete"]

SCOPE_QUESTION = "This is a write operation and your current scopes may not allow it. Rerun with --admin to bypass?"


@dataclass(frozen=True, slots=True)
class Consent:
    """How the user can say yes.

    Attributes:
        yes: ``--yes`` was given.
        admin: ``--admin`` was given: CLERK_BAPI_SCOPES is not asked.
        ask: puts a question on the terminal and tells whether the answer was yes; None without a terminal.
        count: how many rows ``--confirm-count`` says that the whole run deletes.
    """

    yes: bool = False
    admin: bool = False
    ask: Callable[[str], bool] | None = None
    count: int | None = None


def require_scopes(credentials: Credentials, needed: Iterable[Scope], consent: Consent) -> bool:
    """Check that CLERK_BAPI_SCOPES allows a write; returns whether the scopes were bypassed.

    Raises:
        AccessError: a scope is missing, and nobody said that it should be bypassed.
    """
    missing = [scope for scope in needed if scope not in credentials.scopes]
    if consent.admin or not missing:
        return consent.admin
    if consent.ask is not None and consent.ask(f"{SCOPE_QUESTION} (missing: {', '.join(missing)})"):
        return True
    raise AccessError(
        f"{SCOPE_QUESTION} CLERK_BAPI_SCOPES lacks {' and '.join(repr(scope) for scope in missing)}",
        code="scope_missing",
        hint=f"add --admin, or export CLERK_BAPI_SCOPES={','.join(sorted({*credentials.scopes, *missing}))}",
    )


def require_consent(question: str, consent: Consent) -> None:
    """Ask for a yes before the first write.

    Raises:
        AccessError: the answer was no, or there is no terminal to ask on and no ``--yes``.
    """
    if consent.yes:
        return
    if consent.ask is None:
        raise AccessError(
            "nothing was sent: there is no terminal to ask on",
            code="confirmation_missing",
            hint="add --yes to go ahead",
        )
    if not consent.ask(question):
        raise AccessError("nothing was sent: the answer was no", code="declined", hint="")


def require_count(rows: int, consent: Consent) -> None:
    """Check before the first deletion that the user knows how many there are; ``--yes`` does not answer this.

    Raises:
        AccessError: the number is missing, or another one.
    """
    if consent.count == rows:
        return
    given = "--confirm-count is missing" if consent.count is None else f"--confirm-count says {consent.count:,}"
    raise AccessError(
        f"nothing was deleted: this run deletes {rows:,} in all, and {given}",
        code="confirmation_missing",
        hint=f"look at the plan, then add --confirm-count {rows} if that is what you mean",
    )


def scope_line(credentials: Credentials, *, bypassed: bool) -> str:
    """The scopes in force, as a write announces them."""
    if bypassed:
        return "bypassed by --admin"
    return ", ".join(sorted(credentials.scopes)) or "none"
