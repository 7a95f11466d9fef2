"""Job files with steps: what loads, what is refused and where, and rows that refer to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from clerk_jobs.call import Draft
from clerk_jobs.errors import JobFileError, RowProblem
from clerk_jobs.jobfile import MetadataJob, OperationJob, StepsJob, job_schema, load_job
from clerk_jobs.listed import row_view
from clerk_jobs.metadata.drafts import MetadataDrafting
from clerk_jobs.operation.drafts import OperationDrafting
from clerk_jobs.references import Found, Reference, Referring, name_of

GOOD = """\
name: onboarding
api_version: 2026-05-12
errors: {stop_after: 7}
steps:
  - name: organizations
    kind: operation
    operation: CreateOrganization
    source: orgs.csv
    key: "{slug}"
    body: {name: "{name}", slug: "{slug}"}
  - name: memberships
    kind: operation
    operation: CreateOrganizationMembership
    source: people.csv
    path: {organization_id: "{steps.organizations[org].id}"}
    body: {user_id: "{user_id}", role: org:member}
  - name: metadata
    kind: metadata
    target: memberships
    source: people.csv
    id: {organization_id: "{steps.organizations[org].id}", user_id: "{user_id}"}
    public_metadata: {team: "{team}"}
"""


def load(tmp_path: Path, text: str, *overrides: tuple[str, str]) -> StepsJob:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    job = load_job(path, overrides)
    assert isinstance(job, StepsJob)
    return job


def faults(tmp_path: Path, text: str) -> list[tuple[int | None, str, str]]:
    with pytest.raises(JobFileError) as caught:
        load(tmp_path, text)
    return [(fault.line, fault.path, fault.message) for fault in caught.value.faults]


def test_steps_are_jobs_that_share_what_the_whole_job_says(tmp_path: Path) -> None:
    job = load(tmp_path, GOOD)
    assert [(step.name, type(step.job)) for step in job.steps] == [
        ("organizations", OperationJob),
        ("memberships", OperationJob),
        ("metadata", MetadataJob),
    ]
    assert all(step.job.errors.stop_after.count == 7 for step in job.steps)
    reference = Reference("steps.organizations[org].id", "organizations", "org")
    assert [step.references for step in job.steps] == [(), (reference,), (reference,)]
    assert set(job.steps[0].columns()) == {"name", "slug"}
    assert set(job.steps[1].columns()) == {"org", "user_id"}
    assert set(job.steps[2].columns()) == {"org", "user_id", "team"}


def test_what_any_step_does_is_in_the_identity_and_how_it_is_done_is_not(tmp_path: Path) -> None:
    whole = load(tmp_path, GOOD).effects_identity()
    assert load(tmp_path, GOOD, ("limits.share", "0.5")).effects_identity() == whole
    changed = [("steps[1].body.role", "org:admin"), ("steps[2].public_metadata.team", "x{team}")]
    assert len({whole, *(load(tmp_path, GOOD, one).effects_identity() for one in changed)}) == 3
    assert load(tmp_path, GOOD.replace('key: "{slug}"', 'key: "{name}"')).effects_identity() != whole


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "message"),
    [
        ('organizations[org].id}"}\n    body', 'teams[org].id}"}\n    body', 15, "steps[1].path", "no step teams"),
        ('organizations[org].id}"}\n    body', 'metadata[org].id}"}\n    body', 15, "steps[1].path", "before this one"),
        ('organizations[org].id}"}\n    body', 'memberships[org].id}"}\n    body', 15, "steps[1].path", "before this"),
        ('    key: "{slug}"\n', "", 14, "steps[1].path", "has no key:"),
        ('organizations[org].id}"}\n    body', 'organizations.id}"}\n    body', 15, "steps[1].path", "not a reference"),
        ("name: metadata\n", "name: memberships\n", 17, "steps[2]", "has the name memberships"),
        ("name: metadata\n", "name: '1st'\n", 17, "steps[2].name", "must be letters"),
        ("source: orgs.csv", 'source: "-"', 8, "steps[0].source", "cannot be standard input"),
        ('key: "{slug}"', "key: slug", 9, "steps[0].key", "names no column"),
        ("name: onboarding", "name: onboarding\nkind: steps", 2, "kind", "belongs in each step"),
        ("    kind: metadata", "    kind: export", 18, "steps[2].kind", "must be one of invite, metadata, operation"),
        ("    kind: metadata", "    kind: metadata\n    limits: {share: 1}", 19, "steps[2].limits", "whole job"),
        (
            "    target: memberships",
            "    target: memberships\n    errors: {stop_after: 0}",
            20,
            "steps[2].errors.stop_after",
            "count",
        ),
        ("errors: {stop_after: 7}", "errors: {stop_after: 0}", 3, "errors.stop_after", "must be a count"),
        ("errors: {stop_after: 7}", "source: a.csv", 3, "source", "is not a key here"),
    ],
)
def test_what_is_wrong_is_told_once_with_its_place(
    tmp_path: Path, old: str, new: str, line: int, path: str, message: str
) -> None:
    assert GOOD.count(old) == 1
    found = faults(tmp_path, GOOD.replace(old, new))
    told = [(where, key) for where, key, said in found if message in said]
    assert told[:1] == [(line, path)], found
    assert len(set(told)) == len(told)


LISTED = """\
name: tidy
steps:
  - name: users
    kind: create-users
    source: people.csv
    key: "{email}"
    email_address: "{email}"
    external_id: "{email}"
    mapping: ids.csv
  - name: metadata
    kind: metadata
    target: users
    list: users
    where: {query: example.com}
    errors: {stop_after: 3}
    public_metadata: {manager: "{steps.users[user.public_metadata.manager].id}"}
  - name: bans
    kind: operation
    operation: BanUser
    list: users
    key: "{user.external_id}"
    backup: before.jsonl
    path: {user_id: "{user.id}"}
"""


def test_a_step_may_list_its_rows_save_them_and_stop_by_its_own_threshold(tmp_path: Path) -> None:
    job = load(tmp_path, LISTED + "errors: {stop_after: 9}\n")
    assert [step.job.errors.stop_after.count for step in job.steps] == [9, 3, 9]
    step = job.steps[1]
    assert isinstance(step.job, MetadataJob)
    row = {"id": "user_1", "public_metadata": {"manager": "a@example.com"}}
    known = {name_of("users", "a@example.com"): Found(id="user_9")}
    view = row_view(step.job.listing, step.job.api_version)
    inner = MetadataDrafting(step.job)
    payload = Referring(inner, step.name, step.key, step.references, known.__getitem__, view).payload(row)[1]
    assert (payload["value"], payload["fields"]) == ("user_1", {"public_metadata": {"manager": "user_9"}})
    step = job.steps[2]
    assert isinstance(step.job, OperationJob)
    keyed = Referring(OperationDrafting(step.job), "bans", step.key, (), known.__getitem__, view)
    assert keyed.draft({"id": "user_1", "external_id": " x1 "}).name == name_of("bans", "x1")


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "message"),
    [
        ("BanUser", "DeleteUser", 20, "steps[2].list", "a later step deletes"),
        ("steps.users[user.public", "steps.users[member.public", 16, "steps[1].public_metadata", "of the listed user"),
        ('"{user.external_id}"', '"{email}"', 21, "steps[2].key", "of the listed user"),
        ("list: users\n    where", "where", 13, "steps[1].where", "filters a list"),
    ],
)
def test_what_a_listing_step_may_not_say(
    tmp_path: Path, old: str, new: str, line: int, path: str, message: str
) -> None:
    assert LISTED.count(old) == 1
    found = faults(tmp_path, LISTED.replace(old, new))
    assert any((where, key) == (line, path) and message in said for where, key, said in found), found


def test_two_steps_keep_no_file_together(tmp_path: Path) -> None:
    second = LISTED.partition("steps:\n")[2].partition("  - name: metadata")[0].replace("name: users", "name: more")
    found = faults(tmp_path, LISTED + second.replace("mapping: ids.csv", "mapping: ./ids.csv"))
    assert [(key, message) for _, key, message in found] == [
        ("steps[3].mapping", "names the file of step users, and each step writes its own")
    ]


@pytest.mark.parametrize("steps", ["steps: []", "steps: many", "steps: {name: x}", "steps: [1]"])
def test_steps_are_a_list_of_maps(tmp_path: Path, steps: str) -> None:
    assert faults(tmp_path, f"name: x\n{steps}\n")


def test_the_schema_for_editors_knows_steps() -> None:
    import yaml  # noqa: PLC0415  only here

    schema = job_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    good = yaml.safe_load(GOOD.replace("2026-05-12", '"2026-05-12"'))
    assert list(validator.iter_errors(good)) == []
    wrongs: list[dict[str, Any]] = [{"limits": {}}, {"kind": "export"}, {"name": "1st"}, {"sorce": "x"}]
    for wrong in wrongs:
        steps = [{**good["steps"][0], **wrong}]
        assert list(validator.iter_errors({**good, "steps": steps})) != []
    assert list(validator.iter_errors({**good, "steps": []})) != []


def drafting(tmp_path: Path, known: dict[str, Found]) -> Referring:
    step = load(tmp_path, GOOD).steps[1]
    assert isinstance(step.job, OperationJob)
    by_name = {name_of("organizations", key): found for key, found in known.items()}
    inner = OperationDrafting(step.job)
    return Referring(inner, step.name, step.key, step.references, lambda name: by_name[name])


def test_an_id_that_is_not_known_yet_is_stood_in_for_and_never_sent(tmp_path: Path) -> None:
    row = {"org": "acme", "user_id": "user_1"}
    waiting = drafting(tmp_path, {"acme": Found(), "zeta": Found()})
    early: Draft = waiting.draft(row)
    assert early == waiting.draft(row)
    assert early.key != waiting.draft({**row, "org": "zeta"}).key
    with pytest.raises(RowProblem, match="has not ended yet"):
        waiting.payload(row)
    known = drafting(tmp_path, {"acme": Found(id="org_1")})
    assert known.payload(row)[1]["path"] == {"organization_id": "org_1"}
    assert known.draft(row).digest == known.digest(*known.payload(row)) != early.digest


def test_a_row_whose_reference_brought_no_id_says_why(tmp_path: Path) -> None:
    with pytest.raises(RowProblem, match="the row of step organizations whose key is in column 'org' failed") as caught:
        drafting(tmp_path, {"acme": Found(why="failed")}).draft({"org": " acme ", "user_id": "user_1"})
    assert caught.value.code == "reference_missing"
    with pytest.raises(RowProblem):
        drafting(tmp_path, {}).draft({"org": "", "user_id": "user_1"})
