"""A file in the browser of whoever asked for it, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["opened"]


def opened(path: Path) -> bool:
    """Whether a browser was started for it: the one that ``BROWSER`` names, else the first that is found.

    That one was started says nothing about a window: whoever is root in a container may wait for it in vain.
    """
    import webbrowser  # noqa: PLC0415  only here

    # A browser has no use for the key, and hands its environment on to whatever it starts.
    os.environ.pop("CLERK_SECRET_KEY", None)
    try:
        return webbrowser.open(path.absolute().as_uri())
    except (webbrowser.Error, ValueError, IndexError, OSError):
        # A BROWSER of blanks, or with a quote that is never closed, is no reason to fail: the report is written.
        return False
