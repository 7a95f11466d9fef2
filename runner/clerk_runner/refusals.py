"""What an answer, or a ledger that fails, means for more than its own call."""

from __future__ import annotations

from typing import Any

from clerk_jobs.call import Call, Reply, Safety
from clerk_limits.ledger.errors import LedgerError, LedgerLockedError, LedgerVersionError
from clerk_runner.client import Answered
from clerk_runner.errors import AccessError, RunnerError, StoppedError, UsageError

__all__ = ["UNPROVEN", "fatal_error", "is_definite", "ledger_stop"]

AGAIN = frozenset({408, 425, 499})
"""Refusals, beside all from 500 on, that another try may better."""
UNPROVEN = AGAIN | {409}
"""Refusals, beside all from 500 on, that do not prove that nothing happened."""
OF_ONE_ITEM = frozenset(
    {
        "missing_organization_permission",
        "not_a_member_in_organization",
        "unsupported_country_code",
        "user_banned",
        "user_deactivated",
    }
)
"""Codes of a 403 that tell of this call's subject and of no other. Source: Clerk's OpenAPI document 2026-05-12."""


def is_definite(call: Call, attempt: Answered) -> bool:
    """Whether no other try could better this answer."""
    reply = attempt.reply
    if reply.ok:
        # A page that was not read to its end is no page; an effect has happened all the same.
        return attempt.parsed or call.safety is not Safety.READ
    return reply.status not in AGAIN and reply.status != 429 and reply.status < 500 and reply.code != "resource_locked"


def ledger_stop(error: LedgerError) -> RunnerError:
    """What a ledger that cannot be used means: nothing is sent that nobody counts."""
    if isinstance(error, LedgerVersionError):
        return UsageError(
            str(error), code="ledger_version", hint="use the newer version of clerk-batch, or another CLERK_BATCH_HOME"
        )
    cause = "let that process go on, or end it" if isinstance(error, LedgerLockedError) else "free some disk space"
    return StoppedError(
        f"the shared limits cannot be counted: {error}",
        code="ledger",
        hint=f"{cause}, then run the same command again",
    )


def fatal_error(reply: Reply) -> RunnerError | None:
    """The error that ends a run, where an answer means that no other call can succeed either.

    Source: Clerk's error codes; 401 the key, 402 the plan, 403 scope, quota or feature, 400 api_version_invalid. A
    redirect means that another host than Clerk's answers: it is not followed, as the key is for one host.
    """
    return None if reply.ok else _fatal_refusal(reply)


def _fatal_refusal(reply: Reply) -> RunnerError | None:
    said: dict[str, Any] = {"code": reply.code}
    trace = f" (trace {reply.trace_id})" if reply.trace_id else ""
    if reply.status == 401:
        return AccessError(f"Clerk refused the key: {reply.code}{trace}", hint="check CLERK_SECRET_KEY", **said)
    if reply.status == 403 and reply.code.startswith(("authorization_", "action_blocked")):
        return AccessError(f"the key may not do this: {reply.code}{trace}", hint="use a key that may", **said)
    if 300 <= reply.status < 400:
        return StoppedError(
            f"the server redirects elsewhere ({reply.status}), and the key is for one host",
            code="redirected",
            hint="check CLERK_API_URL and any proxy in between, then resume the run",
        )
    if reply.status == 402 or (reply.status == 403 and reply.code not in OF_ONE_ITEM):
        return StoppedError(
            f"Clerk's plan or settings do not allow this: {reply.code}{trace}",
            hint="raise the quota or switch the feature on in the Clerk Dashboard, then resume the run",
            **said,
        )
    if reply.code == "api_version_invalid":
        return StoppedError(
            f"Clerk does not know this API version{trace}", hint="set api_version in the job file", **said
        )
    return None
