"""The job file: models of every kind of job, and loading with faults that name file, line and column."""

from clerk_jobs.jobfile.create_users_job import CreateUsersJob, UndoCreatesJob
from clerk_jobs.jobfile.export_job import ExportJob
from clerk_jobs.jobfile.fields import Seconds, StopAfter
from clerk_jobs.jobfile.kinds import KINDS
from clerk_jobs.jobfile.loading import load_job
from clerk_jobs.jobfile.metadata_job import MetadataJob, UndoJob
from clerk_jobs.jobfile.models import Errors, InviteJob, Job, Limits, Reconcile
from clerk_jobs.jobfile.operation_job import OperationJob
from clerk_jobs.jobfile.schema import job_schema
from clerk_jobs.jobfile.steps_job import Step, StepsJob

__all__ = [
    "KINDS",
    "CreateUsersJob",
    "Errors",
    "ExportJob",
    "InviteJob",
    "Job",
    "Limits",
    "MetadataJob",
    "OperationJob",
    "Reconcile",
    "Seconds",
    "Step",
    "StepsJob",
    "StopAfter",
    "UndoCreatesJob",
    "UndoJob",
    "job_schema",
    "load_job",
]
