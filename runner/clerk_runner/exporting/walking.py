"""Which walk an export needs, and where it goes on: users by slices, every other list by offset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from clerk_jobs.call import Call, Safety
from clerk_jobs.catalog import ListShape, Operation
from clerk_jobs.export.lists import call_of, is_sliced, order_of, with_total
from clerk_jobs.export.part import Part
from clerk_jobs.export.sharing import Sharing
from clerk_jobs.jobfile import ExportJob
from clerk_runner.errors import StoppedError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.keeper import Keeper
from clerk_runner.exporting.pages import Pages
from clerk_runner.exporting.parts import PartWalk
from clerk_runner.exporting.positions import Positions, save_positions, seen_of
from clerk_runner.exporting.spool import Spool, rows_of
from clerk_runner.exporting.walkers import Walkers
from clerk_runner.journal import Journal

__all__ = ["Walk", "WalkParts", "count_users", "make_walk"]

COUNT: Final = Call("GetUsersCount", "GET", "/users/count", "/users/count", Safety.READ)
FIRST_PARTS: Final = {"production": 16, "development": 4}
"""Parts that the time is cut into at the start: walkers that the limit of each kind feeds at 0.2 s an answer."""


class Walk(Protocol):
    """What brings the rows of an export into the spool."""

    @property
    def rows(self) -> int:
        """Rows that were kept until now."""

    async def run(self) -> None:
        """Walk to the end, or until it has to stop."""


@dataclass(frozen=True, kw_only=True)
class WalkParts:
    """What a walk is made of.

    Attributes:
        kind: of the instance, ``production`` or ``development``.
    """

    job: ExportJob
    operation: Operation
    kind: str
    journal: Journal
    exchange: Exchange
    spool: Spool
    positions: Positions
    pages: Pages
    keeper: Keeper
    halt: Halt


async def make_walk(given: WalkParts) -> Walk:
    """The walk of a list, from where the journal stands.

    Raises:
        StoppedError: Clerk refuses the list.
    """
    return await _users(given) if is_sliced(given.operation) else await _list(given)


async def count_users(exchange: Exchange) -> int | None:
    """All users, unfiltered: a filtered count may take minutes."""
    reply = await exchange.read(COUNT)
    total = reply.value.get("total_count") if reply.ok and isinstance(reply.value, dict) else None
    return total if isinstance(total, int) else None


async def _list(given: WalkParts) -> PartWalk:
    operation = given.operation
    call = call_of(operation, (*given.job.where, *order_of(operation), *with_total(operation)))
    parts = given.positions.parts or (Part(0, paged=operation.list_shape is not ListShape.WHOLE),)
    before_ms = await given.journal.get("end_ms")

    async def opened() -> AsyncIterator[Part]:
        for part in parts:
            if part.state == "open":
                part.remember(await seen_of(given.journal, part.id))
                yield part

    return PartWalk(
        given.pages, given.keeper, given.halt, lambda _: call, opened(), before_ms, rows=given.positions.rows
    )


async def _users(given: WalkParts) -> Walkers:
    filters = tuple(pair for pair in given.job.where if not pair[0].startswith("created_at_"))
    call = call_of(given.operation, filters)
    usage = given.exchange.gate.usage()[0]
    rate_per_s = usage.allowed / usage.period_s
    sharing = await _sharing(given, call)
    return Walkers(given.pages, given.keeper, given.halt, sharing, call, rate_per_s)


async def _sharing(given: WalkParts, call: Call) -> Sharing:
    """All slices: as the journal has them, or cut anew."""
    total = None if given.job.where else await given.journal.get("count_before")
    if given.positions.slices:
        return _restored(given, total)
    bounds = dict(given.job.where)
    low_ms = await _first_ms(given.exchange, call)
    low_ms = max(low_ms, int(bounds.get("created_at_after") or low_ms))
    high_ms: int = await given.journal.get("end_ms")
    high_ms = max(low_ms + 1, min(high_ms, int(bounds.get("created_at_before") or high_ms)))
    by_cursor = given.operation.parameter("starting_after") is not None
    sharing = Sharing.cut(
        low_ms, high_ms, FIRST_PARTS[given.kind], page_size=given.pages.size, total=total, by_cursor=by_cursor
    )
    await save_positions(given.journal, sharing.slices.values(), ())
    return sharing


def _restored(given: WalkParts, total: int | None) -> Sharing:
    sharing = Sharing(given.pages.size, total, {one.id: one for one in given.positions.slices})
    for extent in given.positions.extents:
        one = sharing.slices[extent.walk]
        if one.state != "closed" and extent.last_ms == one.position_ms:
            one.remember(row.id for row in rows_of(given.spool, extent, extent.tail))
    return sharing


async def _first_ms(exchange: Exchange, call: Call) -> int:
    """When the first user was created; 0 where there is none."""
    query = (*call.query, ("order_by", "+created_at"), ("limit", "1"))
    reply = await exchange.read(replace(call, query=query))
    if not reply.ok:
        raise StoppedError(
            f"Clerk refused the list of users: {reply.status} {reply.code}",
            code=reply.code,
            hint="look at where: in the job file",
        )
    rows = reply.rows("the first user")
    first = rows[0].get("created_at") if rows and isinstance(rows[0], dict) else None
    return first if isinstance(first, int) else 0
