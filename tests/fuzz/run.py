"""Look for bytes that a target does not stand, led by coverage; ``make fuzz`` runs each target for FUZZ_S seconds.

What is found is kept in ``cases/TARGET/`` and tried again by every test run from then on.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

CASES = Path(__file__).parent / "cases"


def main() -> None:
    """Fuzz one target in this process, or, without one, all of them in processes of their own."""
    seconds, *names = sys.argv[1:]
    if len(names) != 1:
        failed = [name for name in names or targets() if subprocess.call([sys.executable, __file__, seconds, name])]
        sys.exit(f"bytes were found and kept in {CASES} for: {', '.join(failed)}" if failed else 0)
    fuzz(names[0], seconds)


def targets() -> list[str]:
    """The names of all targets."""
    from clerk_testing.fuzzing import FUZZED  # noqa: PLC0415  not before it is instrumented

    return list(FUZZED)


def fuzz(name: str, seconds: str) -> None:
    """Fuzz one target for so many seconds."""
    import atheris  # noqa: PLC0415  a package of its own group

    with atheris.instrument_imports(include=["clerk_jobs", "clerk_limits", "clerk_runner"]):
        from clerk_testing.fuzzing import FUZZED  # noqa: PLC0415

    target, seeds = FUZZED[name]
    kept = CASES / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            Path(folder, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={kept}/", "-timeout=10", "-rss_limit_mb=1024"]
        atheris.Setup([sys.argv[0], *options, folder, str(kept)], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
