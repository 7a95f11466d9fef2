"""What others spent of the invitation quotas before a ledger began: one read of the newest invitations.

The application, a colleague or another machine may have invited people within the hour, and Clerk counts them. The list
does not tell by which endpoint an invitation came, so both are charged as if all had come by it: ten to a call in bulk.
Too much is charged at most, for an hour at most, and only once in the life of a ledger.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from clerk_jobs.call import Call, ReadRefused, Safety
from clerk_limits.documented import LimitKind, limits_for
from clerk_limits.ledger import Charge
from clerk_limits.window import DEFAULT_GUARD_S
from clerk_runner.exchange import Exchange

__all__ = ["first_charges"]

NEWEST = 500
BULK = "/bulk"
ITEMS_OF_BULK = 10


def _lists() -> dict[str, Call]:
    """The list that tells of each invitation endpoint; the application's own lists are the instance's."""
    query = (("limit", str(NEWEST)), ("order_by", "-created_at"))
    own = Call("ListInvitations", "GET", "/invitations", "/invitations", Safety.READ, query=query)
    path = "/organization_invitations"
    organizations = Call("ListInstanceOrganizationInvitations", "GET", path, path, Safety.READ, query=query)
    by_organization = "/organizations/{organization_id}/invitations"
    return {
        "/invitations": own,
        f"/invitations{BULK}": own,
        by_organization: organizations,
        f"{by_organization}{BULK}": organizations,
    }


async def first_charges(exchange: Exchange, templates: Iterable[str], used: Mapping[str, int]) -> list[Charge]:
    """What Clerk's newest invitations say was spent of the quotas of these endpoints, beside what is known already.

    Args:
        templates: paths of the endpoints, as the catalogue has them.
        used: permits that the ledger knows of, by limit.

    Raises:
        RunnerError: the key, the plan or the network do not let Clerk be asked.
    """
    lists = _lists()
    made: dict[str, list[float]] = {}
    charges: list[Charge] = []
    for template in templates:
        call = lists.get(template)
        limit = _quota(exchange, template)
        if call is None or limit is None:
            continue
        if call.path not in made:
            made[call.path] = await _made(exchange, call)
        name, period_s = limit
        now_s = exchange.clock.wall()
        young = sorted((at_s for at_s in made[call.path] if at_s > now_s - period_s), reverse=True)
        calls = young[::ITEMS_OF_BULK] if template.endswith(BULK) else young
        unknown = calls[: max(0, len(calls) - used.get(name, 0))]
        charges += [Charge(name, at_s, period_s) for at_s in unknown]
    return charges


def _quota(exchange: Exchange, template: str) -> tuple[str, float] | None:
    speed = exchange.client.credentials.speed
    for limit in limits_for("POST", template, exchange.client.credentials.key.kind):
        if limit.kind is LimitKind.QUOTA:
            return limit.name, (limit.period_s + DEFAULT_GUARD_S) / speed
    return None


async def _made(exchange: Exchange, call: Call) -> list[float]:
    """When the newest invitations were made, as unix times of our clock; a list that is refused tells nothing."""
    reply = await exchange.read(call, judge=False)
    try:
        rows = reply.rows("invitations")
    except ReadRefused:
        return []
    times = (row.get("created_at") for row in rows if isinstance(row, dict))
    offset_s = exchange.client.offset_s
    return [
        time_ms / 1000 - offset_s for time_ms in times if isinstance(time_ms, int | float) and math.isfinite(time_ms)
    ]
