"""What a ledger says when it cannot be used: then nothing is sent, since a limit that nobody counts is no limit.

::

    LedgerError             the run stops and can be resumed
        LedgerDamagedError  the file was damaged and put aside: the same can be tried again
        LedgerLockedError   another process has held the file for too long
        LedgerVersionError  a newer version of the program wrote it
"""

from pathlib import Path

__all__ = ["LedgerDamagedError", "LedgerError", "LedgerLockedError", "LedgerVersionError"]


class LedgerError(Exception):
    """The ledger cannot be read or written.

    Attributes:
        path: The file or folder.
    """

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class LedgerDamagedError(LedgerError):
    """The file was damaged and has been put aside; it is made anew when it is used next."""


class LedgerLockedError(LedgerError):
    """Another process has held the file for longer than any transaction takes."""


class LedgerVersionError(LedgerError):
    """A newer version of the program wrote the file: what it means is not known here."""
