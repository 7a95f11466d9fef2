"""What an undo works on: a run's changes, written beside it as a job file and its input.

::

    runs/<id>/undo/           0700, everything in it 0600
        job.yaml              kind: undo; of invitations kind: operation, which revokes them; of users
                              kind: undo-create-users
        changes.jsonl         one line for each subject that the run wrote, or may have written, each invitation or user
        changes-STEP.jsonl    the same of a step, where the run has some

An undo is a run like any other, with a plan, a journal and a resume; the files are made anew from the journal whenever
it is asked for, the same bytes from the same journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from clerk_jobs.call import State
from clerk_jobs.jobfile import CreateUsersJob, InviteJob, Job, MetadataJob, StepsJob, UndoJob, load_job
from clerk_runner.errors import RunHeldError, UsageError
from clerk_runner.folders import RunFolder, write_private
from clerk_runner.images import changes_of, existed, has_images
from clerk_runner.schema import open_reader
from clerk_runner.short_ids import unpacked
from clerk_runner.spans import Span
from clerk_runner.writer import create_private

__all__ = ["Undo", "write_undo"]

Lines: TypeAlias = Callable[[sqlite3.Connection, str, Span], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class _Undoing:
    """The keys of a job file that takes back, and what writes its input."""

    keys: dict[str, Any]
    lines: Lines


@dataclass(frozen=True, slots=True)
class Undo:
    """An undo, ready to run.

    Attributes:
        job_file: of the run that takes back.
        kept: the steps that cannot be taken back, each with the reason.
    """

    job_file: Path
    kept: tuple[str, ...] = ()


def write_undo(run: RunFolder, *, force: bool) -> Undo:
    """Write the undo of a run: of its steps, where it has some, the last one first.

    Args:
        force: put old values back even where somebody changed them since.

    Raises:
        RunHeldError: the run is still at work.
        UsageError: it has nothing that could be taken back.
    """
    facts = run.facts()
    if run.is_held:
        raise RunHeldError(
            f"run {run.id} is running in another process", code="held", hint="wait for it to end, or end it first"
        )
    job = load_job(Path(facts.job_file), facts.overrides, allow_outside=facts.allow_outside)
    folder = run.path / "undo"
    folder.mkdir(mode=0o700, exist_ok=True)
    if not isinstance(job, StepsJob):
        does = _undo_of(job, force=force)
        _write_lines(run, folder / "changes.jsonl", does.lines, Span())
        text = _job_file(run.id, job, {**does.keys, "source": "changes.jsonl"})
        write_private(folder / "job.yaml", text.encode())
        return Undo(folder / "job.yaml")
    steps, kept = _undo_steps(run, job, folder, force=force)
    if not steps:
        said = "; ".join(kept) or "none of its steps has written anything"
        raise UsageError(f"run {run.id} cannot be taken back: {said}", code="no_undo")
    write_private(folder / "job.yaml", _job_file(run.id, job, {"steps": steps}).encode())
    return Undo(folder / "job.yaml", tuple(kept))


def _undo_steps(run: RunFolder, job: StepsJob, folder: Path, *, force: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """The steps of an undo, and what cannot be taken back."""
    steps: list[dict[str, Any]] = []
    kept: list[str] = []
    for number, step in reversed([*enumerate(job.steps)]):
        source = f"changes-{step.name}.jsonl"
        try:
            does = _undo_of(step.job, force=force)
            _write_lines(run, folder / source, does.lines, Span(number, of_many=True))
        except UsageError as error:
            if error.code != "nothing_to_undo":
                kept.append(f"step {step.name}: {error.message}")
            continue
        steps.append({"name": step.name, **does.keys, "source": source})
    return steps, kept


def _undo_of(job: Job, *, force: bool) -> _Undoing:
    """How a job of one kind is taken back.

    Raises:
        UsageError: it cannot be.
    """
    match job:
        case MetadataJob() | UndoJob():
            return _Undoing({"kind": "undo", "target": job.target, "force": force}, _changes)
        case CreateUsersJob():
            return _Undoing({"kind": "undo-create-users", "force": force}, _created)
        case InviteJob():
            return _Undoing(_revocation(organizations=job.organization is not None), _invitations)
        case _:
            raise UsageError(
                f"a run of kind {job.kind} cannot be taken back",
                code="no_undo",
                hint="metadata can be put back, invitations revoked, and users deleted that a run created",
            )


def _revocation(*, organizations: bool) -> dict[str, Any]:
    path = {"invitation_id": "{id}"}
    if organizations:
        path["organization_id"] = "{organization}"
    return {
        "kind": "operation",
        "operation": "RevokeOrganizationInvitation" if organizations else "RevokeInvitation",
        "path": path,
        **({"body": {}} if organizations else {}),
    }


def _job_file(run_id: str, job: Job, does: Mapping[str, Any]) -> str:
    """A job file, each value in JSON, which is YAML too."""
    facts = {"name": f"undo {run_id}", **does, "api_version": job.api_version}
    if job.instance is not None:
        facts["instance"] = job.instance
    if job.limits.share is not None:
        facts["limits"] = {"share": job.limits.share}
    return "".join(f"{name}: {orjson.dumps(value).decode()}\n" for name, value in facts.items())


def _changes(reader: sqlite3.Connection, run_id: str, span: Span) -> Iterator[bytes]:
    """What a metadata run changed, one line for each subject, in an order that stays the same."""
    if not has_images(reader, span):
        raise UsageError(f"run {run_id} has written nothing", code="nothing_to_undo")
    for subject, changes in changes_of(reader, span):
        if changes is None:
            raise UsageError(
                f"run {run_id} kept no old values: its job says undo: false",
                code="no_undo",
                hint="leave undo: true in the job file for runs that may have to be taken back",
            )
        yield b'{"id":%b,"changes":%b}\n' % (orjson.dumps(subject), changes)


def _invitations(reader: sqlite3.Connection, run_id: str, span: Span) -> Iterator[bytes]:  # noqa: ARG001  needs no message
    """The invitations that a run made, in the order of its input; one whose id Clerk never told will fail."""
    query = (
        "SELECT coalesce(item.resource, ''), grp.name FROM item JOIN grp ON grp.id = item.grp "
        "WHERE item.state = ? AND item.seq BETWEEN ? AND ? ORDER BY item.seq"
    )
    for invitation, organization in reader.execute(query, (State.DONE, span.first, span.last)):
        yield orjson.dumps({"id": unpacked(invitation), "organization": organization}) + b"\n"


def _created(reader: sqlite3.Connection, run_id: str, span: Span) -> Iterator[bytes]:  # noqa: ARG001  needs no message
    """The users that a run created, in the order of its input, and then those that it changed, or may have changed.

    A user stands in the images exactly if they existed before.
    """
    changed = has_images(reader, span)
    known = existed(span) if changed else "SELECT '' WHERE 0"
    query = (
        f"SELECT DISTINCT resource FROM item WHERE state = ? AND resource NOT IN ({known}) "  # noqa: S608  constants
        "AND attempt IS NOT NULL AND seq BETWEEN ? AND ? ORDER BY seq"
    )
    for (user_id,) in reader.execute(query, (State.DONE, span.first, span.last)):
        yield orjson.dumps({"id": unpacked(user_id), "does": "delete"}) + b"\n"
    if changed:
        for user_id, changes in changes_of(reader, span, which="1"):
            assert changes is not None, "the values of users are always kept"
            yield b'{"id":%b,"does":"restore","changes":%b}\n' % (orjson.dumps(user_id), changes)


def _write_lines(run: RunFolder, path: Path, lines: Lines, span: Span) -> None:
    """Write the input of an undo, whole or not at all."""
    if run.state() == "planned":
        raise UsageError(f"run {run.id} has written nothing", code="nothing_to_undo")
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    create_private(temporary)
    reader = open_reader(run.journal_path)
    try:
        with temporary.open("wb") as file:
            file.writelines(lines(reader, run.id, span))
        temporary.replace(path)
    finally:
        reader.close()
        temporary.unlink(missing_ok=True)
