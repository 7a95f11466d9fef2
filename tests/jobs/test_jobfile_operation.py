"""The job file of operations: what belongs to which part."""

from __future__ import annotations

from pathlib import Path

import pytest

from clerk_jobs.call import Draft
from clerk_jobs.errors import JobFileError, RowProblem
from clerk_jobs.jobfile import OperationJob, load_job
from clerk_jobs.operation.drafts import OperationDrafting, call_of

MEMBER = """\
name: members
kind: operation
operation: POST /organizations/{organization_id}/memberships
source: rows.csv
path: {organization_id: "{org}"}
body: {user_id: "{user}", role: "org:member"}
"""


def job(tmp_path: Path, text: str) -> OperationJob:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = load_job(path)
    assert isinstance(loaded, OperationJob)
    return loaded


def draft(loaded: OperationJob, **row: object) -> Draft:
    return OperationDrafting(loaded).draft(row)


def test_a_row_is_one_call(tmp_path: Path) -> None:
    loaded = job(tmp_path, MEMBER)
    _, payload = OperationDrafting(loaded).payload({"org": "org_1", "user": "user_1"})
    call = call_of(loaded, payload)
    assert (call.method, call.path) == ("POST", "/organizations/org_1/memberships")
    assert call.body == {"user_id": "user_1", "role": "org:member"}


def test_creates_are_the_same_when_everything_is_and_the_others_when_their_path_is(tmp_path: Path) -> None:
    member = job(tmp_path, MEMBER)
    first, other = draft(member, org="org_1", user="user_1"), draft(member, org="org_1", user="user_2")
    assert first.key != other.key
    assert first == draft(member, org="org_1", user="user_1")
    text = 'name: n\nkind: operation\noperation: UpdateUser\nsource: r.csv\npath: {user_id: "{id}"}\n'
    update = job(tmp_path, text + 'body: {first_name: "{name}"}\n')
    first, other = draft(update, id="user_1", name="Ada"), draft(update, id="user_1", name="Grace")
    assert first.key == other.key
    assert first.digest != other.digest


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"org": "..", "user": "user_1"}, "call_refused"),
        ({"org": "", "user": "user_1"}, "call_refused"),
        ({"org": ["a"], "user": "user_1"}, "not_text"),
        ({"org": "org_1", "user": 7}, "call_refused"),
        ({"org": "org_1"}, "missing_column"),
    ],
)
def test_a_row_that_does_not_fit_is_a_problem_without_its_content(
    tmp_path: Path, row: dict[str, object], code: str
) -> None:
    with pytest.raises(RowProblem) as caught:
        draft(job(tmp_path, MEMBER), **row)
    assert caught.value.code == code
    assert "user_1" not in str(caught.value)


def test_query_values_are_texts_and_a_list_repeats_its_name(tmp_path: Path) -> None:
    text = 'name: n\nkind: operation\noperation: DeleteUser\nsource: r.csv\npath: {user_id: "{id}"}\n'
    loaded = job(tmp_path, text)
    assert OperationDrafting(loaded).payload({"id": True})[1]["path"] == {"user_id": "true"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (('body: {user_id: "{user}", role: "org:member"}\n', ""), "body: is missing"),
        (("body: {", "body: text #{"), "must be a map, or a list"),
        (("body:", "query: {limit: 1}\nbody:"), "query: has limit, which is not a parameter of the operation"),
        (('path: {organization_id: "{org}"}\n', ""), "path: lacks organization_id"),
        (("name: members", "name: members\napi_version: 2020-01-01"), "api_version"),
    ],
)
def test_parts_that_do_not_fit_are_faults_of_the_file(tmp_path: Path, changed: tuple[str, str], told: str) -> None:
    with pytest.raises(JobFileError, match=told.replace("[", r"\[")):
        job(tmp_path, MEMBER.replace(*changed))
