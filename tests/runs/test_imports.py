"""The examples of imports, each run against the simulator: who arrives is who was exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from clerk_testing.commands import Workplace

IMPORTS = Path(__file__).resolve().parents[2] / "examples" / "imports"


def states(user: dict[str, Any]) -> list[str]:
    return ["reserved" if each["reserved"] else "verified" for each in user["email_addresses"]]


def test_every_example_of_an_import_arrives(start: Any) -> None:
    workplace: Workplace
    workplace, clerk = start()
    for example in sorted(path for path in IMPORTS.iterdir() if path.is_dir()):
        shutil.copytree(example, workplace.folder / example.name)
        ended = workplace.run("run", f"{example.name}/job.yaml", "--yes", "--json")
        assert (ended.code, ended.json["items"]["done"]) == (0, 5), (example.name, ended.out, ended.err)
        arrived = {user["external_id"]: user for user in clerk.perform("GET", "/users?limit=500")}
        for line in (example / "becomes.jsonl").read_text(encoding="utf-8").splitlines():
            wanted = json.loads(line)
            user = arrived[wanted["external_id"]]
            assert [each["email_address"] for each in user["email_addresses"]] == wanted.get("email_address", [])
            assert states(user) == wanted.get("email_address_identification_status", [])
            assert user["password_enabled"] == ("password_digest" in wanted)
            assert (user["first_name"], user["banned"]) == (wanted.get("first_name"), wanted.get("banned", False))
        lines = (workplace.folder / example.name / "ids.csv").read_text().splitlines()
        assert {line.rpartition(",")[0] for line in lines[1:]} == set(arrived)
        # The same people stand in every example.
        for user in arrived.values():
            clerk.perform("DELETE", f"/users/{user['id']}")
