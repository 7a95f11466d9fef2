"""Settings from options as texts, the way the command line has them."""

from collections.abc import Mapping
from typing import Any

from .application import parse_part
from .faults import Fault
from .formulas import CreatedAt
from .latency import Latency, Stall, parse_duration
from .settings import SimulatorSettings


def read_options(options: Mapping[str, Any]) -> SimulatorSettings:
    """The settings that options ask for: each is called as a setting; those of a type of ours are texts.

    Raises:
        ValueError: when a value makes no sense, saying what to write.
    """
    stall = options["stall"]
    others = {name: value for name, value in options.items() if name != "duplicate_lag"}
    return SimulatorSettings(
        **{
            **others,
            "duplicate_lag_s": parse_duration(options["duplicate_lag"]),
            "application": parse_part(options["application"]),
            "latency": Latency.parse(options["latency"]),
            "stall": Stall.parse(stall) if stall else None,
            "user_created": CreatedAt.parse(options["user_created"]),
            "faults": tuple(Fault.parse(text) for text in options["faults"]),
        }
    )
