"""The kinds of job that can be loaded; each is a module of its own beside `clerk_jobs.jobfile.models`."""

from __future__ import annotations

from typing import Final

from clerk_jobs.jobfile.export_job import ExportJob
from clerk_jobs.jobfile.models import InviteJob, Job

__all__ = ["KINDS"]

KINDS: Final[tuple[type[Job], ...]] = (InviteJob, ExportJob)
"""The kinds that can be loaded."""
