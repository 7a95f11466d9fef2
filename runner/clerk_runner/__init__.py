"""How it is done: the engine, the client, the journal, the simulator and the command line.

For other programs: ``run_job`` and ``plan_job``, what they take and give, and the errors that they raise. A name's
module is imported when the name is asked for: whoever wants one error should not wait for the HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clerk_jobs.errors import ClerkBatchError, InputError, JobFileError
    from clerk_runner.embedding import JobOptions, plan_job, run_job
    from clerk_runner.errors import (
        AccessError,
        Exit,
        LeftEarly,
        RunHeldError,
        RunnerError,
        StoppedError,
        UsageError,
    )
    from clerk_runner.exporting.planning import ExportPlan
    from clerk_runner.exporting.summary import ExportSummary
    from clerk_runner.planning import Plan
    from clerk_runner.report import Items, Summary

__all__ = [
    "AccessError",
    "ClerkBatchError",
    "Exit",
    "ExportPlan",
    "ExportSummary",
    "InputError",
    "Items",
    "JobFileError",
    "JobOptions",
    "LeftEarly",
    "Plan",
    "RunHeldError",
    "RunnerError",
    "StoppedError",
    "Summary",
    "UsageError",
    "plan_job",
    "run_job",
]

_MODULES: Final = {
    "Exit": "errors",
    "ExportPlan": "exporting.planning",
    "ExportSummary": "exporting.summary",
    "Items": "report",
    "JobOptions": "embedding",
    "Plan": "planning",
    "Summary": "report",
    "plan_job": "embedding",
    "run_job": "embedding",
}
"""Where the names are; errors are in ``errors``."""

if not TYPE_CHECKING:  # a type checker would take every name for one of ours

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name in __all__:
            return vars(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"))[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
