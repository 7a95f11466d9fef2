"""Clerk on your own machine: its answers, its limits, its faults, and a report of what it saw.

It shares no code with the limits it judges.
"""

from .server import Simulator, run, serve
from .settings import SimulatorSettings

__all__ = ["Simulator", "SimulatorSettings", "run", "serve"]
