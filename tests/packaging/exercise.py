"""Exercise what was built: install the wheel into a fresh environment and work with it. `make package` runs it.

The source distribution is unpacked and compared with what the wheel holds, because whoever builds from it must get the
same packages; then the installed command plays a job against the installed simulator.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = {"clerk_jobs": "jobs", "clerk_limits": "limits", "clerk_runner": "runner"}
INVITE: Final = "name: invites\nkind: invite\nsource: people.csv\nemail: '{email}'\n"
EXPORT: Final = "name: users\nkind: export\nlist: users\noutput: users.jsonl\n"
PROMPT_S: Final = 120


def main() -> None:
    """Check and exercise the one wheel and the one source distribution of a folder."""
    folder = Path(sys.argv[1])
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    in_wheel = wheel_files(wheel)
    require(in_wheel == tracked_files(), "the wheel holds what the packages hold", in_wheel ^ tracked_files())
    in_source = source_files(source)
    wanted = {f"{PACKAGES[name.partition('/')[0]]}/{name}" for name in in_wheel}
    wanted |= {"LICENSE", "README.md", "CHANGELOG.md", "ARCHITECTURE.md", "Makefile", "pyproject.toml"}
    require(wanted <= in_source, "the source distribution holds them too", wanted - in_source)
    with tempfile.TemporaryDirectory(prefix="clerk-batch-package-") as place:
        exercise(Path(place), install(Path(place) / "venv", wheel))
    print("packaging: the wheel and the source distribution are whole, and the installed command works")


def require(true: bool, what: str, why: object) -> None:
    """End with the reason where something does not hold."""
    if not true:
        sys.exit(f"packaging: it is not true that {what}: {why}")


def wheel_files(wheel: Path) -> set[str]:
    """The files of the packages in a wheel; what belongs to the wheel itself is checked for the licence."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    require(any(name.endswith("licenses/LICENSE") for name in names), "the wheel has its licence", sorted(names))
    return {name for name in names if ".dist-info/" not in name}


def tracked_files() -> set[str]:
    """The files of the three packages as they are committed or about to be."""
    found = set()
    for package, room in PACKAGES.items():
        listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard", f"{room}/{package}"], ROOT, {})
        found |= {name.removeprefix(f"{room}/") for name in listed.splitlines() if (ROOT / name).exists()}
    return found


def source_files(source: Path) -> set[str]:
    """The files of a source distribution, below its one folder."""
    with tarfile.open(source) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def install(place: Path, wheel: Path) -> Path:
    """Install a wheel with what it needs, and nothing else; returns the folder of its commands."""
    venv.create(place, with_pip=True)
    pip = [str(place / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "install", str(wheel)], ROOT, os.environ)
    run([*pip, "check"], ROOT, os.environ)
    return place / "bin"


def exercise(place: Path, commands: Path) -> None:
    """Plan, run and export with the installed command."""
    command, work = str(commands / "clerk-batch"), place / "work"
    work.mkdir()
    bare = {"PATH": os.environ["PATH"], "HOME": str(work), "CLERK_BATCH_HOME": str(work / "state")}
    version = run([command, "--version"], work, bare)
    require(bool(re.fullmatch(r"clerk-batch \S+, for Clerk's API version \S+\n", version)), "it has a version", version)
    require("CreateInvitation" in run([command, "api", "show", "POST", "/invitations"], work, bare), "it explores", "")
    (work / "people.csv").write_text("email\nada@example.com\nbob@example.com\n")
    (work / "invites.yaml").write_text(INVITE)
    (work / "users.yaml").write_text(EXPORT)
    with simulator(command, work, bare) as address:
        around = {**bare, "CLERK_API_URL": address, "CLERK_SECRET_KEY": "sk_test_package", "CLERK_BAPI_SCOPES": "write"}
        run([command, "plan", "invites.yaml"], work, around)
        ended = json.loads(run([command, "run", "invites.yaml", "--yes", "--json"], work, around))
        require(ended["items"]["done"] == 2, "both were invited", ended)
        run([command, "run", "users.yaml"], work, around)
    require((work / "users.jsonl").read_bytes().count(b"\n") == 7, "all users were exported", "")


@contextmanager
def simulator(command: str, work: Path, around: Mapping[str, str]) -> Iterator[str]:
    """The installed simulator, ended with the block; gives its address."""
    started = [command, "simulate", "--key", "sk_test_package", "--users", "7", "--port", "0"]
    process = subprocess.Popen(started, cwd=work, env=dict(around), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        announced = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", announced)
        require(found is not None, "the simulator names its address", announced)
        assert found is not None
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=PROMPT_S)


def run(arguments: Sequence[str], folder: Path, around: Mapping[str, str]) -> str:
    """What a command prints; it must end with 0."""
    environment = dict(around) or dict(os.environ)
    ended = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=PROMPT_S * 5, check=False
    )
    require(ended.returncode == 0, f"{' '.join(arguments)} ends with 0", ended.stderr or ended.stdout)
    return ended.stdout


if __name__ == "__main__":
    main()
