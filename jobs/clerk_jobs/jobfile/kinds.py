"""The kinds of job that can be loaded; each is a module of its own beside `clerk_jobs.jobfile.models`."""

from __future__ import annotations

from typing import Final

from clerk_jobs.jobfile.create_users_job import CREATE_USERS, UndoCreatesJob
from clerk_jobs.jobfile.export_job import ExportJob
from clerk_jobs.jobfile.metadata_job import MetadataJob, UndoJob
from clerk_jobs.jobfile.models import InviteJob, Job
from clerk_jobs.jobfile.operation_job import OperationJob

__all__ = ["KINDS", "OWN_KINDS", "STEP_KINDS"]

KINDS: Final[tuple[type[Job], ...]] = (InviteJob, ExportJob, MetadataJob, OperationJob, CREATE_USERS)
"""The kinds that people write."""

STEP_KINDS: Final[tuple[type[Job], ...]] = tuple(kind for kind in KINDS if kind is not ExportJob)
"""The kinds that a step can be of: those that take rows and write."""

OWN_KINDS: Final[tuple[type[Job], ...]] = (UndoJob, UndoCreatesJob)
"""Kinds that only this program writes, into the folder of a run; they are loaded like the others."""
