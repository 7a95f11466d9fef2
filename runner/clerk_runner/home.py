"""Where this program keeps what it remembers; a module of its own, because looking something up needs nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["state_home"]


def state_home(environ: Mapping[str, str], *, home: Path | None = None) -> Path:
    """The state folder: CLERK_BATCH_HOME, else ``$XDG_STATE_HOME/clerk-batch``, else ``~/.local/state/clerk-batch``."""
    if given := environ.get("CLERK_BATCH_HOME"):
        return Path(given).expanduser().absolute()
    base = environ.get("XDG_STATE_HOME")
    root = Path(base) if base and Path(base).is_absolute() else (home or Path.home()) / ".local" / "state"
    return root / "clerk-batch"
