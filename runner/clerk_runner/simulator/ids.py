"""Ids that are made from a number, and read back to it, without a table.

Clerk's ids are a prefix and 27 letters and digits. Here the last eight of them hold the object's number,
stirred by a permutation of 40 bits, so ids do not sort by age: software that leans on such an order must not
pass by luck.
"""

import hashlib

_BITS = 40
_MASK = (1 << _BITS) - 1
# Odd, hence invertible modulo a power of two; any large odd number with mixed bits will do.
_FACTOR = 0x9E3779B97D
_INVERSE = pow(_FACTOR, -1, 1 << _BITS)
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZabcdefghjk"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]
_VALUE_OF_PAIR = {pair: value for value, pair in enumerate(_PAIRS)}


class Ids:
    """The ids of one kind of object in one simulated instance.

    Example:
        >>> ids = Ids("user_", seed=0)
        >>> ids.number(ids.make(41)), ids.number("user_unknown")
        (41, None)
    """

    def __init__(self, prefix: str, seed: int) -> None:
        digest = hashlib.sha256(f"{prefix}{seed}".encode()).digest()
        self.head = prefix + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:19])
        self._salt = int.from_bytes(digest[19:24], "big")

    def tail(self, number: int) -> str:
        """The eight letters that hold a number below 2**40."""
        stirred = (number * _FACTOR & _MASK) ^ self._salt
        return (
            _PAIRS[stirred >> 30] + _PAIRS[stirred >> 20 & 1023] + _PAIRS[stirred >> 10 & 1023] + _PAIRS[stirred & 1023]
        )

    def make(self, number: int) -> str:
        """The id of the object with this number."""
        return self.head + self.tail(number)

    def number(self, identifier: str) -> int | None:
        """The number in an id; None where it is no id of this kind and instance."""
        head = len(self.head)
        if len(identifier) != head + 8 or not identifier.startswith(self.head):
            return None
        stirred = 0
        for place in range(head, head + 8, 2):
            value = _VALUE_OF_PAIR.get(identifier[place : place + 2])
            if value is None:
                return None
            stirred = stirred << 10 | value
        return (stirred ^ self._salt) * _INVERSE & _MASK
