"""The ledger: the budget that processes share and that outlives them; the only code of this room that touches disk."""

from clerk_limits.ledger.errors import LedgerDamagedError, LedgerError, LedgerLockedError, LedgerVersionError
from clerk_limits.ledger.lender import Charge, Lender, LenderOptions
from clerk_limits.ledger.snapshot import InUse, charge_planned, read_in_use

__all__ = [
    "Charge",
    "InUse",
    "LedgerDamagedError",
    "LedgerError",
    "LedgerLockedError",
    "LedgerVersionError",
    "Lender",
    "LenderOptions",
    "charge_planned",
    "read_in_use",
]
