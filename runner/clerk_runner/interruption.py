"""Ctrl-C before there is anything to interrupt, and when there is nothing any more.

A KeyboardInterrupt in the middle of an import leaves half a module behind. Whatever imports it next stumbles over that
with an error of its own, in place of ours and with a trace. So there the process ends at once: it has begun nothing
that would have to be tidied up. What works on a run takes the signals over (``clerk_runner.interrupts``).
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

__all__ = ["ignore_signals", "listen_for_interrupts"]

EXIT = 130
IMPORTER = "<frozen importlib._bootstrap>"
TOLD = "clerk-batch: interrupted\n"
TOLD_AS_JSON = (
    '{"error":{"exit":130,"code":"interrupted","message":"interrupted",'
    '"file":null,"line":null,"column":null,"hint":""}}\n'
)
"""Written out, because nothing can be imported now that could write it."""


def listen_for_interrupts() -> None:
    """Let SIGINT end an import and the process with it; anywhere else it is a KeyboardInterrupt, as always."""
    signal.signal(signal.SIGINT, _interrupted)


def ignore_signals() -> None:
    """Let nothing change the exit code of what is over: the interpreter takes a while to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _interrupted(_number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTER:
            as_json = "--json" in sys.argv
            os.write(1 if as_json else 2, (TOLD_AS_JSON if as_json else TOLD).encode())
            os._exit(EXIT)
        frame = frame.f_back
    raise KeyboardInterrupt
