"""Errors of the jobs, and the base of every error of the project.

The tree, by who can mend it::

    ClerkBatchError
    |-- JobFileError       the author of the job file: every fault of the file at once
    |-- TemplateError      the author of the job file: one template's text (loading turns it into a Fault)
    |-- InputError         the owner of the source: the file as a whole cannot be used, nothing is sent
    `-- RowProblem         the owner of the source: this row cannot be used, the others can

The runner's own branches grow from the same base. A message says what failed, where, and what to do next;
it never holds a cell's content, because a cell may be an e-mail address or a password.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ClerkBatchError", "Fault", "InputError", "JobFileError", "RowProblem", "TemplateError"]

_SHOWN_FAULTS = 50


class ClerkBatchError(Exception):
    """Base of every error that this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a job file.

    Attributes:
        file: the job file as the user named it, or ``--set`` for a value of the command line.
        line: from 1; None where there is no line (``--set``, a file that cannot be read).
        column: from 1, in characters; None where there is no line.
        path: the key's dotted path, ``limits.share`` or ``steps[0].email``; empty for the file as a whole.
        message: what is wrong, without the place.
        hint: what to do, or the nearest valid name; empty when there is nothing to say.
    """

    file: str
    line: int | None
    column: int | None
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Give the fault in one line, in the form that editors and terminals make clickable."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        subject = f"{self.path}: " if self.path else ""
        advice = f"; {self.hint}" if self.hint else ""
        return f"{place}: {subject}{self.message}{advice}"


class JobFileError(ClerkBatchError):
    """A job file that cannot be used, with everything that is wrong in it.

    Attributes:
        faults: at least one, in the order of the file, those of ``--set`` last.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep the faults in the order of their places."""
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line is None, fault.line or 0, fault.column or 0)))
        lines = [str(fault) for fault in self.faults[:_SHOWN_FAULTS]]
        if len(self.faults) > _SHOWN_FAULTS:
            lines.append(f"... and {len(self.faults) - _SHOWN_FAULTS} more")
        super().__init__("\n".join(lines))


class TemplateError(ClerkBatchError):
    """The text of a template that cannot be compiled.

    Attributes:
        message: what is wrong.
        offset: characters from the start of the text to what is wrong.
        hint: what to do; may be empty.
    """

    def __init__(self, message: str, offset: int, hint: str = "") -> None:
        """Keep the parts, so that loading can turn the offset into a line and a column."""
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.offset = offset
        self.hint = hint


class InputError(ClerkBatchError):
    """A source that cannot be used as a whole: nothing of it may be sent.

    Attributes:
        file: the source as the job file names it.
        line: physical line, from 1; None when the fault is not on a line.
        message: what is wrong.
        hint: what to do; may be empty.
    """

    def __init__(self, file: str, message: str, *, line: int | None = None, hint: str = "") -> None:
        """Build the one line that is shown from the parts that ``--json`` gives separately."""
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {message}; {hint}" if hint else f"{place}: {message}")
        self.file = file
        self.line = line
        self.message = message
        self.hint = hint


class RowProblem(ClerkBatchError):  # noqa: N818 - it ends as a failed item, and is named so everywhere
    """A row whose values do not fit: caught where the row is drafted, and made a failed item.

    Attributes:
        code: a short word of ours, ``cast_failed``; scripts may depend on it.
        message: one line for a person, without the cell's content.
        column: the column at fault; None when it is not one column.
    """

    def __init__(self, code: str, message: str, column: str | None = None) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.column = column
