"""Asking for one page: through the gate, again where no answer came, and for less where pages are too slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from clerk_jobs.call import Call, Reply
from clerk_jobs.catalog.operation import ListShape
from clerk_jobs.export.page import NotAList, Page, parse_page
from clerk_runner.errors import LeftEarly, StoppedError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.halt import Halt
from clerk_runner.logs import Log

__all__ = ["Pages", "Question"]

Question = Callable[[int], tuple[tuple[str, str], ...]]
"""Gives the parameters of a page of so many rows."""

LEAST_PAGE: Final = 10
SLOW_TRIES: Final = 2
"""Tries without an answer after which a page is asked for with half of its rows."""


@dataclass(slots=True)
class Pages:
    """Asks for the pages of a list.

    Attributes:
        name: of the list, for messages.
        size: rows asked for at once; halves when pages do not arrive, and ``is_halved`` tells.
        max_wait_s: leave when the next permit is further away.
        note: told what people should know while it goes on.
    """

    exchange: Exchange
    halt: Halt
    log: Log
    name: str
    shape: ListShape
    size: int
    max_wait_s: float | None = None
    note: Callable[[str], None] = lambda _: None
    is_halved: bool = False

    async def ask(self, call: Call, question: Question) -> Page | Reply | None:
        """Ask until a page or a refusal comes; None where the walk is to end.

        Args:
            call: the list with its filters; the page's own parameters are put behind them.

        Raises:
            StoppedError: the answer is not a list.
            RunnerError: nothing can be asked any more, or the next permit is too far away.
        """
        failures = 0
        while not self.halt.stopping:
            limit = self.size
            self._leave_early(call)
            reply = await self.exchange.ask(replace(call, query=(*call.query, *question(limit))), self._parse)
            if reply is None:
                failures += 1
                await self._failed(limit, failures)
            elif not reply.ok:
                return reply
            else:
                return self._believed(reply)
        return None

    def refused(self, reply: Reply) -> StoppedError:
        """The error that a refusal is where nothing else can be tried."""
        return StoppedError(
            f"Clerk refused a page of {self.name}: {reply.status} {reply.code}",
            code=reply.code,
            hint="check list: and where: in the job file, then resume the run",
        )

    def _parse(self, body: bytes | memoryview) -> Page | NotAList:
        return parse_page(body, self.shape)

    def _believed(self, reply: Reply) -> Page:
        if isinstance(reply.value, Page):
            return reply.value
        reason = reply.value.reason if isinstance(reply.value, NotAList) else "nothing"
        raise StoppedError(
            f"an answer for {self.name} is not a list: {reason}",
            code="shape_changed",
            hint="Clerk's API may have changed; try another api_version in the job file",
        )

    def _leave_early(self, call: Call) -> None:
        if self.max_wait_s is None:
            return
        next_s = self.exchange.gate.next_in(call.method, call.template)
        if next_s is not None and next_s > self.max_wait_s:
            raise LeftEarly(
                f"the next permit comes in {next_s:.0f} s, later than --max-wait allows",
                code="max_wait",
                hint="run the same command again later",
            )

    async def _failed(self, limit: int, failures: int) -> None:
        """No answer: wait, and from the second time on ask for less."""
        if failures >= SLOW_TRIES and limit == self.size and limit > LEAST_PAGE and self.exchange.trouble:
            self.size, self.is_halved = max(LEAST_PAGE, limit // 2), True
            self.log.warning("page_size", page_size=self.size, reason=self.exchange.trouble)
            self.note(f"pages do not arrive ({self.exchange.trouble}): asking for only {self.size} rows at once")
        if self.exchange.trouble:
            await self.exchange.pause(failures)
