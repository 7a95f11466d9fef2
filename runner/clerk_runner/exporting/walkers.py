"""Walkers: as many as the limit can feed, each asking for the pages of one slice and then of the next.

By Little's law the limit is used up by rate x latency requests under way; the latency is measured, so the number of
walkers follows it. About twice a second what arrived becomes certain: the spool is synced, then the positions are
journalled. A kill loses what is younger, and that is asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final

from clerk_jobs.call import Call, Reply, Safety
from clerk_jobs.catalog.operation import ListShape
from clerk_jobs.errors import ClerkBatchError
from clerk_jobs.export.page import NotAList, Page, parse_page
from clerk_jobs.export.sharing import Sharing
from clerk_jobs.export.slices import DisorderError, Slice
from clerk_runner.errors import LeftEarly, RunnerError, StoppedError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.distinct import digests
from clerk_runner.exporting.positions import save_positions
from clerk_runner.exporting.spool import Extent, Spool
from clerk_runner.journal import Journal
from clerk_runner.logs import Log

__all__ = ["USERS", "Walkers"]

USERS: Final = Call("GetUserList", "GET", "/users", "/users", Safety.READ)
MOST_WALKERS: Final = 256
LEAST_WALKERS: Final = 4
MOST_WAITING: Final = 16 * 1024 * 1024
"""Bytes on their way to the disk above which no further walker starts: a slow disk must not fill the memory."""
SAVE_S: Final = 0.5
LEAST_PAGE: Final = 10
CHECKED_AT_ONCE: Final = 100
"""Ids that one GET /users takes. Source: Clerk's OpenAPI document 2026-05-12, maxItems of user_id."""
SLOW_TRIES: Final = 2
"""Tries without an answer after which a page is asked for with half of its rows."""


@dataclass(slots=True)
class Walkers:
    """Walks all slices of an export into the spool.

    Attributes:
        where: the job's own filters, sent with every page.
        rate_per_s: requests that the job's share of the limit allows a second.
        max_wait_s: leave when the next permit is further away.
        page_size: rows asked for; halves when pages do not arrive.
        extents: every page in the spool, by number.
        ending: why the walk ended before its end.
        note: told what people should know while it goes on.
    """

    exchange: Exchange
    journal: Journal
    spool: Spool
    sharing: Sharing
    extents: list[Extent]
    where: tuple[tuple[str, str], ...]
    rate_per_s: float
    log: Log
    max_wait_s: float | None = None
    page_size: int = 500
    ending: RunnerError | OSError | None = None
    interrupted: bool = False
    note: Callable[[str], None] = lambda _: None
    _active: set[int] = field(default_factory=set)
    _dirty: set[int] = field(default_factory=set)
    _unsaved: list[tuple[Extent, bytes]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _group: asyncio.TaskGroup | None = None

    @property
    def rows(self) -> int:
        """Rows in the spool."""
        return self.sharing.kept

    @property
    def stopping(self) -> bool:
        """Whether no further page is asked for."""
        return self.interrupted or self.ending is not None

    def interrupt(self) -> None:
        """Ask for no further page; those under way are taken."""
        self.interrupted = True
        self._changed.set()

    def stop(self, error: RunnerError | OSError) -> None:
        """End the walk; the first reason counts."""
        self.ending = self.ending or error
        self._changed.set()

    async def run(self) -> None:
        """Walk until every slice is closed, or until it has to stop; afterwards everything kept is journalled."""
        self._dirty.update(self.sharing.slices)
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._save_now_and_then(), name="save")
            await self._walk()
            self._ended.set()
        if not isinstance(self.ending, OSError):
            await self._guarded(self._save())

    async def _walk(self) -> None:
        while not self.sharing.finished and not self.stopping:
            self._changed.clear()
            self._fill()
            if len(self.sharing.to_check()) >= CHECKED_AT_ONCE or not self._active:
                await self._guarded(self._check())
                continue
            await self._changed.wait()
        while self._active:
            self._changed.clear()
            await self._changed.wait()

    def _fill(self) -> None:
        """Put walkers to work, up to the number that the limit can feed."""
        wanted = self._wanted()
        waiting = [each for each in self.sharing.open() if each.id not in self._active]
        while len(self._active) < wanted and not self.stopping and self.spool.waiting < MOST_WAITING:
            one = waiting.pop() if waiting else self._take_part()
            if one is None:
                return
            self._active.add(one.id)
            assert self._group is not None
            self._group.create_task(self._work_on(one), name=f"slice {one.id}")

    def _take_part(self) -> Slice | None:
        shared = self.sharing.take_part()
        if shared is None:
            return None
        self._dirty.update(one.id for one in shared)
        return shared[1]

    def _wanted(self) -> int:
        latency_s = self.exchange.latency_s or 0.2
        return max(LEAST_WALKERS, min(MOST_WALKERS, math.ceil(self.rate_per_s * latency_s * 1.25) + 2))

    async def _work_on(self, one: Slice) -> None:
        try:
            await self._guarded(self._walk_slice(one))
        finally:
            self._active.discard(one.id)
            self._changed.set()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """A reason to stop is noted, so that the other walkers end their pages instead of being cut off."""
        try:
            await work
        except DisorderError as error:
            reason = StoppedError(f"the pages cannot be trusted: {error}", code="disorder", hint="run it again later")
            self.stop(reason)
        except (RunnerError, OSError) as error:
            self.stop(error)
        except ClerkBatchError as error:
            self.stop(StoppedError(str(error), code="export", hint="look at the run's log"))

    async def _walk_slice(self, one: Slice) -> None:
        failures = 0
        while one.state == "open" and not self.stopping:
            limit = self.page_size
            self._leave_early()
            reply = await self.exchange.ask(self._call(one, limit), _parse_users)
            if reply is None:
                failures += 1
                await self._failed(limit, failures)
                continue
            failures = 0
            await self._take(one, reply)
            self._fill()

    def _call(self, one: Slice, limit: int) -> Call:
        return replace(USERS, query=(*self.where, *one.query(limit)))

    def _leave_early(self) -> None:
        if self.max_wait_s is None:
            return
        next_s = self.exchange.gate.next_in(USERS.method, USERS.template)
        if next_s is not None and next_s > self.max_wait_s:
            raise LeftEarly(
                f"the next permit comes in {next_s:.0f} s, later than --max-wait allows",
                code="max_wait",
                hint="run the same command again later",
            )

    async def _failed(self, limit: int, failures: int) -> None:
        """No answer: wait, and from the second time on ask for less."""
        if failures >= SLOW_TRIES and limit == self.page_size and limit > LEAST_PAGE and self.exchange.trouble:
            self.page_size = max(LEAST_PAGE, limit // 2)
            self.log.warning("page_size", page_size=self.page_size, reason=self.exchange.trouble)
            self.note(f"pages do not arrive ({self.exchange.trouble}): asking for {self.page_size} users at once")
        if self.exchange.trouble:
            await self.exchange.pause(failures)

    async def _take(self, one: Slice, reply: Reply) -> None:
        if not reply.ok:
            if one.cursor is None or reply.status not in (400, 404, 422):
                raise StoppedError(
                    f"Clerk refused a page of users: {reply.status} {reply.code}",
                    code=reply.code,
                    hint="look at where: in the job file, then resume the run",
                )
            one.cursor_refused()
            self._dirty.add(one.id)
            return
        page = reply.value
        if not isinstance(page, Page):
            reason = page.reason if isinstance(page, NotAList) else "nothing"
            raise StoppedError(
                f"an answer of GET /users is no list of users: {reason}",
                code="shape_changed",
                hint="Clerk's API may have changed; try another api_version in the job file",
            )
        taken = one.take(page)
        self._dirty.add(one.id)
        if taken.rows:
            extent, written = self.spool.append(len(self.extents), one.id, page, taken.rows)
            self.extents.append(extent)
            self._unsaved.append((extent, digests(page.ids[place] for place in taken.rows)))
            await written

    async def _check(self) -> None:
        """Look up the cursors behind short pages: a slice ends only where its cursor is alive."""
        checked = self.sharing.to_check()[:CHECKED_AT_ONCE]
        if not checked:
            return
        cursors = [one.cursor for one in checked if one.cursor is not None]
        query = (("limit", str(CHECKED_AT_ONCE)), *(("user_id", cursor) for cursor in cursors))
        reply = await self.exchange.read(replace(USERS, query=query))
        alive = {row.get("id") for row in reply.rows("users by id") if isinstance(row, dict)}
        for one in checked:
            if one.cursor in alive:
                one.cursor_alive()
            else:
                one.cursor_refused()
            self._dirty.add(one.id)

    async def _save_now_and_then(self) -> None:
        # Never cancelled by the walk's end: what a save has taken up it has to finish.
        while not self._ended.is_set() and not isinstance(self.ending, OSError):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), SAVE_S)
            if self._dirty or self._unsaved:
                await self._guarded(self._save())

    async def _save(self) -> None:
        """Make certain what was kept until now; slices and pages are taken together, before anything is awaited."""
        pages, self._unsaved = self._unsaved, []
        slices = [replace(self.sharing.slices[number], seen=set()) for number in sorted(self._dirty)]
        self._dirty.clear()
        await self.spool.sync()
        await save_positions(self.journal, slices, pages)


def _parse_users(body: bytes) -> Page | NotAList:
    return parse_page(body, ListShape.ARRAY)
