"""How fast a caller may go: documented limits, windows, buckets and the gate before a request."""

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
