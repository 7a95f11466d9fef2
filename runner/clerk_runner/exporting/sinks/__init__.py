"""Sinks: what turns the spool's lines, in their order, into an output of some form."""

from clerk_runner.exporting.sinks.choosing import open_sink, require_extra
from clerk_runner.exporting.sinks.packing import Packed
from clerk_runner.exporting.sinks.sink import Sink

__all__ = ["Packed", "Sink", "open_sink", "require_extra"]
