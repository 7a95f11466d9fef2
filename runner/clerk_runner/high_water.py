"""How far a run has come at least: a mark beside its journal, by which an older copy of the journal gives itself away.

A journal that somebody restored from a backup does not know what was sent since, and would send it again. The mark
counts the starts that were about to send, and the attempts at the end of the last one that ended by itself. It is
written after the journal, so the journal never falls behind it by a crash.
"""

from __future__ import annotations

import msgspec

from clerk_runner.attempts import last_attempt
from clerk_runner.errors import StoppedError
from clerk_runner.folders import RunFolder, write_private
from clerk_runner.journal import Journal

__all__ = ["begin_start", "end_start", "require_newest"]


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    starts: int
    attempts: int


async def begin_start(folder: RunFolder, journal: Journal) -> None:
    """Count a start that is about to send; the journal is whole in its main file from now on.

    Raises:
        sqlite3.Error, OSError: it cannot be written down, and nothing may be sent.
    """
    await journal.put(state="running", starts=(await journal.get("starts") or 0) + 1)
    await journal.checkpoint()
    await end_start(folder, journal)


async def end_start(folder: RunFolder, journal: Journal) -> None:
    """Move the mark to where the journal is.

    Raises:
        sqlite3.Error, OSError: it cannot be written down.
    """
    write_private(folder.mark_path, msgspec.json.encode(await _mark_of(journal)))


async def require_newest(folder: RunFolder, journal: Journal) -> None:
    """Check that the journal is no older copy.

    Raises:
        StoppedError: it is, or nobody can tell.
    """
    if not folder.mark_path.exists():
        return
    try:
        mark = msgspec.json.decode(folder.mark_path.read_bytes(), type=_Mark)
    except (OSError, msgspec.MsgspecError) as error:
        raise StoppedError(
            f"{folder.mark_path} cannot be read, so nobody can tell whether the journal is the newest",
            code="journal_unproved",
            hint="restore the run folder as it was, or start over with --fresh",
        ) from error
    known = await _mark_of(journal)
    if mark.starts > known.starts or mark.attempts > known.attempts:
        raise StoppedError(
            f"the journal {journal.path} is an older copy: the run has been started {mark.starts} times and sent "
            f"{mark.attempts} calls, and the journal knows of {known.starts} and {known.attempts}",
            code="journal_older",
            hint="restore the newest run.db, or look at Clerk's own lists before you start the job with --fresh",
        )


async def _mark_of(journal: Journal) -> _Mark:
    starts = await journal.get("starts") or 0
    return _Mark(starts=starts, attempts=await journal.read(last_attempt))
