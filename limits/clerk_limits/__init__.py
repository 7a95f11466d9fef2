"""How fast a caller may go: documented limits, windows, buckets and the gate before a request.

A name's module is imported when the name is asked for: whoever wants to look up one documented limit should not wait
for the gate, its token buckets and asyncio.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clerk_limits.allowance import Usage
    from clerk_limits.block import EVERY_OPERATION, retry_after_s
    from clerk_limits.budget import WindowFactory, WindowSpec, sliding_window
    from clerk_limits.clock import Clock, LoopClock, VirtualClock, VirtualTimeLoop, run_virtual
    from clerk_limits.documented import (
        FRONTEND_LIMITS,
        LIMITS,
        DocumentedLimit,
        InstanceKind,
        LimitKind,
        LimitScope,
        limits_for,
    )
    from clerk_limits.gate import Gate, GateOptions, Permit
    from clerk_limits.pacer import Pacer
    from clerk_limits.window import SlidingWindow, Slot, Window

__all__ = [
    "EVERY_OPERATION",
    "FRONTEND_LIMITS",
    "LIMITS",
    "Clock",
    "DocumentedLimit",
    "Gate",
    "GateOptions",
    "InstanceKind",
    "LimitKind",
    "LimitScope",
    "LoopClock",
    "Pacer",
    "Permit",
    "SlidingWindow",
    "Slot",
    "Usage",
    "VirtualClock",
    "VirtualTimeLoop",
    "Window",
    "WindowFactory",
    "WindowSpec",
    "limits_for",
    "retry_after_s",
    "run_virtual",
    "sliding_window",
]

_MODULES: Final = ("documented", "clock", "block", "window", "pacer", "allowance", "budget", "gate")
"""Where the names are, the cheapest first."""

if not TYPE_CHECKING:  # a type checker would take every name for one of ours

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name in __all__:
            for module in _MODULES:
                found = vars(import_module(f"{__name__}.{module}")).get(name)
                if found is not None:
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
