"""One permit for one request: what was taken for it, and the one word that ends it."""

from collections.abc import Callable
from enum import Enum, auto
from types import TracebackType
from typing import Self

from clerk_limits.block import Endpoint
from clerk_limits.lane import Taken

__all__ = ["Ending", "Permit"]


class Ending(Enum):
    """What became of the request that a permit was for."""

    SETTLED = auto()
    LOST = auto()
    GIVEN_BACK = auto()


class Permit:
    """The right to send one request, from `Gate.acquire`.

    Exactly one of `settle`, `lose` and `give_back` ends it; the first word counts, later ones are ignored. As
    a context manager (plain `with`) an exit without a word means `lose`: what is not known to be harmless is
    held longest.

    Attributes:
        endpoint: The operation that it was granted for.
        taken: The slot that was taken in every scope which covers the call.
        granted_at_s: When it was granted, on the loop's clock.
    """

    __slots__ = ("_end", "endpoint", "granted_at_s", "taken")

    def __init__(
        self,
        endpoint: Endpoint,
        taken: Taken,
        granted_at_s: float,
        end: Callable[["Permit", Ending], None],
    ) -> None:
        self.endpoint = endpoint
        self.taken = taken
        self.granted_at_s = granted_at_s
        self._end: Callable[[Permit, Ending], None] | None = end

    def depart(self, now_s: float) -> bool:
        """The first byte of the request is about to be written: ask directly before.

        Returns:
            False where nothing may be written under this permit any more: the process stood still for so long since it
            was granted that other processes may not count it any more. Give it back then, and take another.
        """
        for _, slot in self.taken:
            if slot.is_void():
                return False
        for _, slot in self.taken:
            slot.sent_at_s = now_s
        return True

    def settle(self) -> None:
        """A response came, whatever its status: free again one period from now."""
        self.end(Ending.SETTLED)

    def lose(self) -> None:
        """The attempt ended without a response: held for as long as the request may still arrive."""
        self.end(Ending.LOST)

    def give_back(self) -> None:
        """Nothing was sent: free at once."""
        self.end(Ending.GIVEN_BACK)

    def end(self, ending: Ending) -> None:
        """One of the three words."""
        end, self._end = self._end, None
        if end is not None:
            end(self, ending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.lose()
