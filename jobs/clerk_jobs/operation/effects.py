"""What an operation that can be repeated sets, compared with what is there: so that a lost answer can be settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from clerk_jobs.absence import CLOCK_MS
from clerk_jobs.call import Outcome, Reply, State
from clerk_jobs.catalog import Operation
from clerk_jobs.metadata.trees import merged, same
from clerk_jobs.operation.reading import Seen

__all__ = ["settled_by", "shows"]

MARKS: Final[Mapping[str, tuple[str, bool]]] = {
    "BanUser": ("banned", True),
    "UnbanUser": ("banned", False),
    "LockUser": ("locked", True),
    "UnlockUser": ("locked", False),
}
"""The field that an operation without a body sets. Source: Clerk's OpenAPI document 2026-05-12, User."""
METADATA: Final = ("public_metadata", "private_metadata", "unsafe_metadata")


def shows(operation: Operation, body: Any, found: Mapping[str, Any]) -> bool | None:
    """Whether an object is what the operation makes of it; None where it does not tell (a password, say)."""
    mark = MARKS.get(operation.operation_id)
    if mark is not None:
        return None if not isinstance(found.get(mark[0]), bool) else found[mark[0]] is mark[1]
    if operation.method not in ("PATCH", "PUT") or not isinstance(body, dict) or not body:
        return None
    merges = operation.method == "PATCH" and operation.path.endswith("/metadata")
    for name, wanted in body.items():
        if name not in found:
            return None
        if merges and name in METADATA and isinstance(wanted, dict):
            has = found[name] or {}
            reached = same(has, merged(has, wanted))
        else:
            reached = same(found[name], wanted)
        if not reached:
            return False
    return True


def settled_by(seq: int, operation: Operation, body: Any, found: Seen, since_ms: int) -> Outcome:
    """What becomes of an item whose call got no answer, once its object has been read.

    It is sent again where the object is not what the call makes of it, and was not changed since the call was first
    sent: so nothing newer is overwritten.
    """
    if found is None:
        return Outcome(seq, State.FAILED, "not_found", "Clerk no longer has this object")
    if isinstance(found, Reply):
        return _unresolved(seq, f"reading it was refused ({found.status} {found.code})")
    shown = shows(operation, body, found)
    if shown is None:
        return _unresolved(seq, "what Clerk shows does not settle it")
    if shown:
        return Outcome(seq, State.DONE, resource_id=_text(found.get("id")))
    changed_ms = found.get("updated_at")
    if isinstance(changed_ms, int) and changed_ms < since_ms - CLOCK_MS:
        return Outcome(seq, State.PENDING)
    said = "it may have happened, and somebody has changed the object since: look at it before you send it again"
    return Outcome(seq, State.UNRESOLVED, "changed_meanwhile", said)


def _unresolved(seq: int, why: str) -> Outcome:
    said = f"it may have happened, and {why}: look at it, then decide with resume --on-unresolved retry or skip"
    return Outcome(seq, State.UNRESOLVED, "unresolved", said)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
