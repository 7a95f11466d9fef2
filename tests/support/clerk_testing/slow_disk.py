"""A disk on which every fsync takes 8 ms longer, as on a plain one without a cache: for a process of one's own.

Where the machine has a C compiler, a library of ten lines is put in front of libc. Elsewhere each durable transaction
of the ledger waits as long after its commit, which is the place where SQLite would have waited.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FSYNC_S", "SlowDisk", "slow_disk"]

FSYNC_S = 0.008

SOURCE = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

static int slow(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    usleep(8000);
    return real(file);
}

int fsync(int file) { return slow("fsync", file); }
int fdatasync(int file) { return slow("fdatasync", file); }
"""

PRELUDE = f"""\
import contextlib, time
from clerk_limits.ledger.storage import Storage
_quick = Storage.transaction
@contextlib.contextmanager
def _slow(self):
    with _quick(self) as connection:
        yield connection
        if self.durable:
            time.sleep({2 * FSYNC_S})
Storage.transaction = _slow
"""
"""Two syncs for a commit: of the journal and of the file."""


@dataclass(frozen=True, slots=True)
class SlowDisk:
    """How to give a process a slow disk.

    Attributes:
        how: in words.
        variables: for its environment.
        prelude: what it runs before it begins.
    """

    how: str
    variables: Mapping[str, str] = field(default_factory=dict)
    prelude: str = ""


def slow_disk(folder: Path) -> SlowDisk:
    """Make one; the library, if any, lies in ``folder``."""
    compiler = shutil.which("cc")
    if compiler is None:
        return SlowDisk("a wait after each durable commit, as there is no C compiler", prelude=PRELUDE)
    source, library = folder / "slow_fsync.c", folder / "slow_fsync.so"
    source.write_text(SOURCE, encoding="ascii")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return SlowDisk("fsync and fdatasync, by a preloaded library", {"LD_PRELOAD": str(library)})
