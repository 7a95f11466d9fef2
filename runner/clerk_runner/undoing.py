"""What an undo works on: a run's changes, written beside it as a job file and its input.

::

    runs/<id>/undo/           0700, everything in it 0600
        job.yaml              kind: undo
        changes.jsonl         one line for each subject that the run wrote, or may have written

An undo is a run like any other, with a plan, a journal and a resume; the files are made anew from the journal whenever
it is asked for, the same bytes from the same journal.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from clerk_jobs.jobfile import Job, MetadataJob, UndoJob, load_job
from clerk_runner.errors import RunHeldError, UsageError
from clerk_runner.folders import RunFolder, write_private
from clerk_runner.images import changes_of, has_images
from clerk_runner.schema import open_reader
from clerk_runner.writer import create_private

__all__ = ["write_undo"]


def write_undo(run: RunFolder) -> Path:
    """Write the undo of a run; returns its job file.

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
    if not isinstance(job, MetadataJob | UndoJob):
        raise UsageError(
            f"a run of kind {facts.kind} cannot be taken back",
            code="no_undo",
            hint="only kind: metadata keeps what was",
        )
    folder = run.path / "undo"
    folder.mkdir(mode=0o700, exist_ok=True)
    _write_changes(run, folder / "changes.jsonl")
    write_private(folder / "job.yaml", _job_file(run.id, job).encode())
    return folder / "job.yaml"


def _job_file(run_id: str, job: MetadataJob | UndoJob) -> str:
    lines = {
        "name": f"undo {run_id}",
        "kind": "undo",
        "source": "changes.jsonl",
        "target": job.target,
        "api_version": job.api_version,
    }
    share = "" if job.limits.share is None else f"limits: {{share: {job.limits.share}}}\n"
    return "".join(f"{name}: {orjson.dumps(value).decode()}\n" for name, value in lines.items()) + share + _guard(job)


def _guard(job: Job) -> str:
    return "" if job.instance is None else f"instance: {job.instance}\n"


def _write_changes(run: RunFolder, path: Path) -> None:
    """One line for each subject, in the order of their ids."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    create_private(temporary)
    reader = open_reader(run.journal_path)
    try:
        if run.state() == "planned" or not has_images(reader):
            raise UsageError(f"run {run.id} has written nothing", code="nothing_to_undo")
        with temporary.open("wb") as file:
            for subject, changes in changes_of(reader):
                if changes is None:
                    raise UsageError(
                        f"run {run.id} kept no old values: its job says undo: false",
                        code="no_undo",
                        hint="leave undo: true in the job file for runs that may have to be taken back",
                    )
                file.write(b'{"id":%b,"changes":%b}\n' % (orjson.dumps(subject), changes))
        temporary.replace(path)
    finally:
        reader.close()
        temporary.unlink(missing_ok=True)
