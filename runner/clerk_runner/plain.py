"""Text that nothing obeys: no terminal that shows it, and no reader of a log."""

from __future__ import annotations

import re

__all__ = ["HIDDEN", "plain"]

HIDDEN = re.compile(
    # Control characters, separators of lines, marks that turn the direction of writing, and halves of characters,
    # which a file name may hold.
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that a terminal would obey."""


def plain(text: str, *, keep: str = "\t") -> str:
    r"""The text without anything that a terminal would obey: control characters, bidirectional marks.

    Example:
        >>> plain("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    return HIDDEN.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)
