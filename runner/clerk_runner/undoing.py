"""What an undo works on: a run's changes, written beside it as a job file and its input.

::

    runs/<id>/undo/           0700, everything in it 0600
        job.yaml              kind: undo; of invitations kind: operation, which revokes them; of users
                              kind: undo-create-users
        changes.jsonl         one line for each subject that the run wrote, or may have written, each invitation or user

An undo is a run like any other, with a plan, a journal and a resume; the files are made anew from the journal whenever
it is asked for, the same bytes from the same journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from clerk_jobs.call import State
from clerk_jobs.jobfile import CreateUsersJob, InviteJob, Job, MetadataJob, UndoJob, load_job
from clerk_runner.errors import RunHeldError, UsageError
from clerk_runner.folders import RunFolder, write_private
from clerk_runner.images import changes_of, has_images
from clerk_runner.schema import open_reader
from clerk_runner.writer import create_private

__all__ = ["write_undo"]


def write_undo(run: RunFolder, *, force: bool) -> Path:
    """Write the undo of a run; returns its job file.

    Args:
        force: put old values back even where somebody changed them since.

    Raises:
        RunHeldError: the run is still at work.
        UsageError: it has nothing that could be taken back.
    """
    facts = run.facts()
    if run.is_held:
        raise RunHeldError(
            f"run {run.id} is at work in another process", code="held", hint="wait for it to end, or end it first"
        )
    job = load_job(Path(facts.job_file), facts.overrides, allow_outside=facts.allow_outside)
    match job:
        case MetadataJob() | UndoJob():
            does: dict[str, Any] = {"kind": "undo", "target": job.target, "force": force}
            lines = _changes
        case CreateUsersJob():
            does = {"kind": "undo-create-users", "force": force}
            lines = _created
        case InviteJob():
            does = _revocation(organizations=job.organization is not None)
            lines = _invitations
        case _:
            raise UsageError(
                f"a run of kind {facts.kind} cannot be taken back",
                code="no_undo",
                hint="metadata can be put back, invitations revoked, and users deleted that a run created",
            )
    folder = run.path / "undo"
    folder.mkdir(mode=0o700, exist_ok=True)
    _write_lines(run, folder / "changes.jsonl", lines)
    write_private(folder / "job.yaml", _job_file(run.id, job, does).encode())
    return folder / "job.yaml"


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
    facts = {"name": f"undo {run_id}", **does, "source": "changes.jsonl", "api_version": job.api_version}
    if job.instance is not None:
        facts["instance"] = job.instance
    if job.limits.share is not None:
        facts["limits"] = {"share": job.limits.share}
    return "".join(f"{name}: {orjson.dumps(value).decode()}\n" for name, value in facts.items())


def _changes(reader: sqlite3.Connection, run_id: str) -> Iterator[bytes]:
    """What a metadata run changed, one line for each subject, in the order of their ids."""
    if not has_images(reader):
        raise UsageError(f"run {run_id} has written nothing", code="nothing_to_undo")
    for subject, changes in changes_of(reader):
        if changes is None:
            raise UsageError(
                f"run {run_id} kept no old values: its job says undo: false",
                code="no_undo",
                hint="leave undo: true in the job file for runs that may have to be taken back",
            )
        yield b'{"id":%b,"changes":%b}\n' % (orjson.dumps(subject), changes)


def _invitations(reader: sqlite3.Connection, run_id: str) -> Iterator[bytes]:  # noqa: ARG001  needs no message
    """The invitations that a run made, in the order of its input; one whose id Clerk never told will fail."""
    query = (
        "SELECT coalesce(item.resource, ''), grp.name FROM item JOIN grp ON grp.id = item.grp "
        "WHERE item.state = ? ORDER BY item.seq"
    )
    for invitation, organization in reader.execute(query, (State.DONE,)):
        yield orjson.dumps({"id": invitation, "organization": organization}) + b"\n"


def _created(reader: sqlite3.Connection, run_id: str) -> Iterator[bytes]:  # noqa: ARG001  needs no message
    """The users that a run created, in the order of its input, and then those that it changed, or may have changed.

    A user stands in the images exactly if they existed before.
    """
    existed = "SELECT subject FROM image" if has_images(reader) else "SELECT NULL"
    query = (
        f"SELECT DISTINCT resource FROM item WHERE state = ? AND resource NOT IN ({existed}) "  # noqa: S608  constants
        "AND attempt IS NOT NULL ORDER BY seq"
    )
    for (user_id,) in reader.execute(query, (State.DONE,)):
        yield orjson.dumps({"id": user_id, "does": "delete"}) + b"\n"
    if has_images(reader):
        for user_id, changes in reader.execute("SELECT subject, changes FROM image ORDER BY subject"):
            yield b'{"id":%b,"does":"restore","changes":%b}\n' % (orjson.dumps(user_id), changes)


def _write_lines(run: RunFolder, path: Path, lines: Callable[[sqlite3.Connection, str], Iterator[bytes]]) -> None:
    """Write the input of an undo, whole or not at all."""
    if run.state() == "planned":
        raise UsageError(f"run {run.id} has written nothing", code="nothing_to_undo")
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    create_private(temporary)
    reader = open_reader(run.journal_path)
    try:
        with temporary.open("wb") as file:
            file.writelines(lines(reader, run.id))
        temporary.replace(path)
    finally:
        reader.close()
        temporary.unlink(missing_ok=True)
