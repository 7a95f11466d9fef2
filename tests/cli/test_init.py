"""The first job file: what ``init`` writes can be planned and run as it is, and replaces nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from clerk_jobs.jobfile import KINDS, job_schema, load_job
from clerk_runner.cli.init import SCHEMA, template_kinds
from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

SAMPLE_IDS = ("user_put_the_ids_of_your_users_here_1", "user_put_the_ids_of_your_users_here_2")


@pytest.fixture(scope="module")
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk("--key=sk_live_init", "--speed=60", "--users=5") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    return Workplace(tmp_path, {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": "60"})


def kind_names() -> set[str]:
    return {str(kind.__struct_config__.tag) for kind in KINDS}


def test_there_is_a_template_for_every_kind() -> None:
    assert set(template_kinds()) == {*kind_names(), "steps"}


@pytest.mark.parametrize("kind", template_kinds())
def test_what_is_written_plans_and_runs_as_it_is(place: Workplace, clerk: SimulatedClerk, kind: str) -> None:
    begun = place.run("init", kind, "first job")
    assert (begun.code, begun.err) == (0, "")
    folder = place.folder / "first job"
    job = folder / f"{kind}.yaml"
    assert begun.out.splitlines()[-1] == f"next  clerk-batch plan 'first job/{kind}.yaml' --offline"
    assert job.read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema={SCHEMA}\n")
    assert (folder / SCHEMA).exists()
    jsonschema.validate(yaml.safe_load(job.read_text(encoding="utf-8")), job_schema())
    assert load_job(job).kind == kind
    assert place.run("plan", str(job), "--offline").code == 0

    if kind == "operation":
        # The one sample that names ids: there are no others that every instance has.
        sample = folder / "names.csv"
        text = sample.read_text(encoding="utf-8")
        for word, user in zip(SAMPLE_IDS, clerk.perform("GET", "/users?limit=2"), strict=True):
            text = text.replace(word, user["id"])
        sample.write_text(text, encoding="utf-8")
    planned = place.run("plan", str(job))
    assert planned.code == 0, planned.err + planned.out
    ran = place.run("run", str(job), "--yes", "--json")
    assert ran.code == 0, ran.err + ran.out
    assert ran.json["items"]["done"] >= 2


def test_nothing_is_replaced(place: Workplace) -> None:
    place.write("people.csv", "mine\n")
    ended = place.run("init", "invite", "--")
    assert ended.code == 2
    assert "people.csv already exists and is not replaced; nothing was written" in ended.err
    assert "clerk-batch init invite FOLDER" in ended.err
    assert [path.name for path in place.folder.iterdir() if path.name != "state"] == ["people.csv"]


def test_a_schema_that_is_there_stays(place: Workplace) -> None:
    place.write(SCHEMA, "mine\n")
    assert place.run("init", "export").code == 0
    assert (place.folder / SCHEMA).read_text(encoding="utf-8") == "mine\n"


def test_a_link_that_leads_nowhere_is_something_too(place: Workplace) -> None:
    (place.folder / "export.yaml").symlink_to(place.folder / "elsewhere.yaml")
    assert place.run("init", "export").code == 2
    assert not (place.folder / "elsewhere.yaml").exists()


def test_a_kind_that_there_is_not_names_those_that_are(place: Workplace) -> None:
    ended = place.run("init", "import")
    assert ended.code == 2
    assert "create-users, export, invite, metadata, operation" in ended.err
