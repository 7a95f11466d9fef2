"""What other runs of a job may still have under way.

``--fresh`` leaves an unfinished run behind, and a call of it that was cut off may still have its effect. Who looks at
Clerk's lists before that sees somebody as not invited who is about to be, and would invite them a second time. So a
run that begins anew looks people up only when the quarantine of such calls is over.
"""

from __future__ import annotations

import datetime
import sqlite3

from clerk_jobs.call import State
from clerk_runner.doubts import INTENT_LIFE_S
from clerk_runner.errors import LeftEarly, RunnerError
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.schema import is_blank, open_reader

__all__ = ["landing_s", "told_or_left"]

LAST_DOUBT = (
    "SELECT max(coalesce(attempt.ended_ms, attempt.intent_ms + ?)) FROM item "
    "JOIN attempt ON attempt.id = item.attempt WHERE item.state IN (?, ?)"
)


def landing_s(state: StateFolder, run: RunFolder, now_s: float, *, quarantine_s: float, speed: float) -> float:
    """Seconds until nothing that the job's other runs on this instance have in doubt can happen any more.

    Args:
        run: the run that is about to look people up.
        now_s: unix time.
        quarantine_s: how long absence proves nothing, before ``speed``; also the longest answer, whatever the clock.
    """
    facts = run.facts()
    left_s = 0.0
    for other in state.list():
        theirs = other.facts()
        if other.id != run.id and (theirs.job, theirs.instance) == (facts.job, facts.instance):
            last_s = _last_doubt_s(other, INTENT_LIFE_S / speed)
            left_s = max(left_s, last_s + quarantine_s / speed - now_s)
    return min(left_s, quarantine_s / speed)


def told_or_left(left_s: float, now_s: float, max_wait_s: float | None, max_time_s: float | None) -> str:
    """What is waited for, in words.

    Raises:
        LeftEarly: that is longer than the user wants to wait.
    """
    when = datetime.datetime.fromtimestamp(now_s + left_s).astimezone()
    told = f"calls of the abandoned run may still arrive until {when:%H:%M:%S}"
    for option, most_s in (("--max-wait", max_wait_s), ("--max-time", max_time_s)):
        if most_s is not None and left_s > most_s:
            raise LeftEarly(
                f"{told}, beyond {option}",
                code="left_early",
                hint="run the same command again to continue",
                until=when.isoformat("T", "seconds"),
            )
    return told


def _last_doubt_s(run: RunFolder, intent_life_s: float) -> float:
    """When the last call in doubt ended, or at the latest began; 0.0 where there is none."""
    if is_blank(run.journal_path):
        return 0.0
    try:
        reader = open_reader(run.journal_path)
    except RunnerError:
        # Of a damaged journal nobody knows; whoever begins anew beside it was told to look at Clerk's lists first.
        return 0.0
    try:
        row = reader.execute(LAST_DOUBT, (round(intent_life_s * 1000), State.INTENT, State.DOUBT)).fetchone()
    except sqlite3.Error:
        return 0.0
    finally:
        reader.close()
    return float(row[0] or 0) / 1000
