"""Clerk's ids as a journal keeps them: 21 bytes instead of the 32 letters of a user's.

Such an id is a word, an underscore, and 27 letters and digits. Those are digits of base64, six bits each, and so is the
letter that stands for the word here: 28 of them are 21 bytes without a bit to spare. Two ids with a slash between
them, which are a membership's, are the bytes of both. Whatever looks otherwise stays the text that it is, so nothing
depends on what Clerk's ids look like but the size.
"""

from __future__ import annotations

import sqlite3
from binascii import a2b_base64, b2a_base64

__all__ = ["packed", "unpacked"]

LETTERS = {"user": "u", "org": "o", "orgmem": "m", "inv": "i", "orginv": "n"}
"""They are stored in journals and never change their meaning."""
WORDS = {letter: word for word, letter in LETTERS.items()}
DIGITS = 27
BYTES = 21


def packed(text: str | None) -> bytes | str | None:
    """An id as it is kept; equal ids are kept alike, and others otherwise.

    Example:
        >>> len(packed("user_2abcdefghijklmnopqrstuvwxyz")), packed("user_1"), packed(None)
        (21, 'user_1', None)
    """
    if text is None:
        return None
    parts = []
    for one in text.split("/"):
        word, _, digits = one.partition("_")
        letter = LETTERS.get(word)
        if letter is None or len(digits) != DIGITS or not (digits.isascii() and digits.isalnum()):
            return text
        parts.append(a2b_base64(letter + digits))
    return b"".join(parts)


def unpacked(kept: bytes | str | None) -> str | None:
    """The id that was `packed`.

    Raises:
        sqlite3.DatabaseError: these bytes are none, so what they were read from is damaged.

    Example:
        >>> unpacked(packed("org_2abcdefghijklmnopqrstuvwxyz/user_2ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        'org_2abcdefghijklmnopqrstuvwxyz/user_2ABCDEFGHIJKLMNOPQRSTUVWXYZ'
    """
    if not isinstance(kept, bytes):
        return kept
    if len(kept) == BYTES:
        return _id_of(kept)
    return "/".join([_id_of(kept[start : start + BYTES]) for start in range(0, len(kept), BYTES)])


def _id_of(part: bytes) -> str:
    digits = b2a_base64(part, newline=False).decode()
    word = WORDS.get(digits[:1])
    if word is None or len(part) != BYTES:
        raise sqlite3.DatabaseError("an id that the journal keeps is damaged")
    return f"{word}_{digits[1:]}"
