"""The phase of a run that tells how it stands: the summary, with its proof."""

from __future__ import annotations

import asyncio

import msgspec

from clerk_runner.errors import Exit, LeftEarly, RunnerError
from clerk_runner.exporting.increment import Basis, told
from clerk_runner.exporting.opened import Opened
from clerk_runner.exporting.output import STDOUT
from clerk_runner.exporting.positions import distinct_ids, load_positions
from clerk_runner.exporting.summary import ExportSummary, Proof
from clerk_runner.folders import write_private
from clerk_runner.report import Items
from clerk_runner.reporting.leaving import leave_report

__all__ = ["TellPhase"]


class TellPhase:
    """Tells the end of a run, or of this start of it."""

    def __init__(self, run: Opened) -> None:
        """Begin nothing yet."""
        self._run = run

    async def tell(self, ending: RunnerError | None, *, interrupted: bool) -> ExportSummary:
        """Write the summary and say how the run stands."""
        done = ending is None and not interrupted
        state, code = self._standing(ending, interrupted=interrupted)
        requests = (await self._run.journal.get("requests") or 0) + self._run.exchange.requests
        throttled = (await self._run.journal.get("throttled") or 0) + self._run.exchange.throttled
        if not done and await self._run.journal.get("state") != "finalizing":
            await self._run.journal.put(state=state)
        worst_s = max(await self._run.journal.get("worst_s") or 0.0, self._run.exchange.worst_s)
        await self._run.journal.put(requests=requests, throttled=throttled, worst_s=worst_s)
        proof = await self._proof()
        basis = await self._run.basis()
        summary = ExportSummary(
            run=self._run.folder.id,
            job=self._run.job.name,
            kind=self._run.job.kind,
            state=state,
            items=Items(total=proof.rows, done=proof.rows),
            requests=requests,
            throttled=throttled,
            elapsed_s=round(self._run.around.elapsed_s, 3),
            outputs=[] if proof.output in (None, str(STDOUT)) else [proof.output],
            run_dir=str(self._run.folder.path),
            exit=int(code),
            error=None
            if ending is None
            else {"exit": int(ending.exit), "code": ending.code, "message": ending.message, "hint": ending.hint},
            proof=proof,
            pruned=await self._run.journal.get("pruned") or [],
            increment=None if basis is None else told(basis, await self._changed(basis)),
        )
        write_private(self._run.folder.path / "summary.json", msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
        if self._run.record is not None:
            await self._run.record.save(over=True)
        if trouble := await asyncio.to_thread(leave_report, self._run.folder):
            self._run.log.warning("report", reason=trouble)
        if done:
            await self._run.journal.put(state="done")
            self._run.spool_path.unlink(missing_ok=True)
            self._run.tail_path.unlink(missing_ok=True)
        self._run.log.info("end", state=state, exit=int(code), requests=requests)
        return summary

    def _standing(self, ending: RunnerError | None, *, interrupted: bool) -> tuple[str, Exit]:
        if interrupted:
            return "interrupted", self._run.around.interrupts.exit
        if ending is None:
            return "done", Exit.DONE
        return ("waiting" if isinstance(ending, LeftEarly) else "stopped"), ending.exit

    async def _proof(self) -> Proof:
        positions = await load_positions(self._run.journal)
        before, after = await self._run.journal.get("count_before"), await self._run.journal.get("count_after")
        output = await self._run.journal.get("output") or {}
        rows, distinct = await self._run.journal.get("rows"), await self._run.journal.get("distinct")
        return Proof(
            rows=positions.rows if rows is None else rows,
            distinct=await distinct_ids(self._run.journal) if distinct is None else distinct,
            count_before=before,
            count_after=after,
            drift=None if before is None or after is None else after - before,
            missing=await self._run.journal.get("missing") or 0,
            parents=await self._run.journal.get("parents"),
            pages=positions.pages,
            worst_page_s=round(await self._run.journal.get("worst_s") or 0.0, 3),
            output=output.get("path"),
            sha256=output.get("sha256"),
            size=output.get("size"),
            unfit=output.get("unfit") or 0,
        )

    async def _changed(self, basis: Basis) -> int | None:
        return (await load_positions(self._run.journal)).rows if basis.mode == "changes" else None
