"""Which walk an export needs, and where it goes on: users by slices, every other list by offset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from clerk_jobs.call import Call, ReadRefused, Safety
from clerk_jobs.catalog import ListShape, Operation
from clerk_jobs.export.changes import NEWEST_CHANGE_FIRST
from clerk_jobs.export.distinct import digests
from clerk_jobs.export.lists import call_of, is_sliced, order_of, with_total
from clerk_jobs.export.part import Part
from clerk_jobs.export.sharing import Sharing
from clerk_runner.errors import StoppedError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.changes import ChangesWalk
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.keeper import Keeper
from clerk_runner.exporting.pages import Pages
from clerk_runner.exporting.parts import PartWalk
from clerk_runner.exporting.positions import Positions, load_extents, open_parts, parents_of, save_positions, seen_of
from clerk_runner.exporting.spool import Spool, rows_of
from clerk_runner.exporting.walkers import Walkers, walkers_wanted
from clerk_runner.journal import Journal

__all__ = ["Walk", "WalkParts", "count_users", "make_walk", "walk_below", "walk_changes"]

COUNT: Final = Call("GetUsersCount", "GET", "/users/count", "/users/count", Safety.READ)
AT_ONCE: Final = 500
"""Parts that are read from the journal at once."""


class Walk(Protocol):
    """What brings the rows of an export into the spool."""

    @property
    def rows(self) -> int:
        """Rows that were kept until now."""
        ...

    async def run(self) -> None:
        """Walk to the end, or until it has to stop."""
        ...


@dataclass(frozen=True, kw_only=True)
class WalkParts:
    """What a walk is made of.

    Attributes:
        operation: the list that is walked.
        where: its filters.
        total: users by Clerk's unfiltered count; None where filters make that no help.
        spool: where the rows that are kept already lie; None where the rows are parents.
    """

    operation: Operation
    where: tuple[tuple[str, str], ...]
    total: int | None
    journal: Journal
    positions: Positions
    spool: Spool | None
    pages: Pages
    keeper: Keeper
    halt: Halt

    @property
    def rate_per_s(self) -> float:
        """Requests that the job's share of the limit allows a second."""
        return self.pages.exchange.gate.usage()[0].rate_per_s


async def make_walk(given: WalkParts) -> Walk:
    """The walk of a list that stands alone, from where the journal stands.

    Raises:
        StoppedError: Clerk refuses the list.
    """
    return await _users(given) if is_sliced(given.operation) else await _list(given)


async def walk_below(given: WalkParts) -> Walk:
    """The walks of the lists below all parents that the journal has, from where it stands."""
    operation = given.operation
    paging = (*order_of(operation), *with_total(operation))

    def call(part: Part) -> Call:
        return call_of(operation, (*given.where, *paging), part.parent)

    async def opened() -> AsyncIterator[Part]:
        after = 0
        while parts := await open_parts(given.journal, after, AT_ONCE):
            for part in parts:
                if part.kept:
                    part.remember(await seen_of(given.journal, part.id))
                yield part
            after = parts[-1].id

    return PartWalk(
        given.pages,
        given.keeper,
        given.halt,
        call,
        opened(),
        await given.journal.get("end_ms"),
        lambda: walkers_wanted(given.rate_per_s, given.pages.exchange.latency_s),
        given.positions.rows,
    )


async def walk_changes(given: WalkParts, since_ms: int) -> ChangesWalk:
    """The walk of the users that were changed since a moment."""
    part = given.positions.part or Part(0)
    part.remember(await seen_of(given.journal, part.id))
    call = call_of(given.operation, (*given.where, *NEWEST_CHANGE_FIRST))
    before_ms = await given.journal.get("end_ms")
    return ChangesWalk(
        given.pages, given.keeper, given.halt, call, part, since_ms, before_ms, rows=given.positions.rows
    )


async def count_users(exchange: Exchange) -> int | None:
    """All users, unfiltered: a filtered count may take minutes."""
    reply = await exchange.read(COUNT)
    total = reply.value.get("total_count") if reply.ok and isinstance(reply.value, dict) else None
    return total if isinstance(total, int) else None


async def _list(given: WalkParts) -> PartWalk:
    operation = given.operation
    call = call_of(operation, (*given.where, *order_of(operation), *with_total(operation)))
    part = given.positions.part or Part(0, paged=operation.list_shape is not ListShape.WHOLE)

    async def opened() -> AsyncIterator[Part]:
        if part.state == "open":
            part.remember(await _seen(given, part))
            yield part

    before_ms = await given.journal.get("end_ms")
    return PartWalk(
        given.pages, given.keeper, given.halt, lambda _: call, opened(), before_ms, rows=given.positions.rows
    )


async def _seen(given: WalkParts, part: Part) -> set[bytes]:
    if given.spool is not None:
        return await seen_of(given.journal, part.id)
    return {digests([parent]) for parent in await parents_of(given.journal)}


async def _users(given: WalkParts) -> Walkers:
    filters = tuple(pair for pair in given.where if not pair[0].startswith("created_at_"))
    call = call_of(given.operation, filters)
    sharing = await _sharing(given, call)
    return Walkers(given.pages, given.keeper, given.halt, sharing, call, given.rate_per_s)


async def _sharing(given: WalkParts, call: Call) -> Sharing:
    """All slices: as the journal has them, or cut anew."""
    if given.positions.slices:
        return await _restored(given)
    bounds = dict(given.where)
    low_ms = await _first_ms(given.pages.exchange, call)
    low_ms = max(low_ms, int(bounds.get("created_at_after") or low_ms))
    high_ms: int = await given.journal.get("end_ms")
    high_ms = max(low_ms + 1, min(high_ms, int(bounds.get("created_at_before") or high_ms)))
    by_cursor = given.operation.parameter("starting_after") is not None
    # One for each walker: where answers take seconds, a few parts would take many of them to become enough. How many
    # users a filter leaves nobody knows, often a handful: the first page tells, and more are shared by its density.
    known = given.total is not None
    parts = walkers_wanted(given.rate_per_s, given.pages.exchange.latency_s) if known else 1
    sharing = Sharing.cut(low_ms, high_ms, parts, page_size=given.pages.size, total=given.total, by_cursor=by_cursor)
    await save_positions(given.journal, sharing.slices.values())
    return sharing


async def _restored(given: WalkParts) -> Sharing:
    sharing = Sharing(given.pages.size, given.total, {one.id: one for one in given.positions.slices})
    if given.spool is None:
        for one in sharing.open() + sharing.to_check():
            one.remember(await parents_of(given.journal, one.position_ms))
        return sharing
    for extent in await load_extents(given.journal):
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
            hint="check where: in the job file",
        )
    try:
        rows = reply.rows("the first user")
    except ReadRefused as error:
        raise StoppedError(
            str(error),
            code="shape_changed",
            hint="Clerk's API may have changed; try another api_version in the job file",
        ) from error
    first = rows[0].get("created_at") if rows and isinstance(rows[0], dict) else None
    return first if isinstance(first, int) else 0
