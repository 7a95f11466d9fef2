"""Reading what is there now: whom it asks for, what it believes, and how it settles what got no answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clerk_jobs.call import Call, Item, Outcome, Problem, ReadRefused, Reply, State, Talk
from clerk_jobs.errors import JobFileError, RowProblem
from clerk_jobs.jobfile import MetadataJob, load_job
from clerk_jobs.metadata.drafts import MetadataDrafting
from clerk_jobs.metadata.screen import Verdict, decode_changes, touched
from clerk_jobs.metadata.targets import TARGETS, read_current, write_call
from clerk_jobs.metadata.trees import digest_of
from clerk_jobs.metadata.work import MetadataWork

USERS = TARGETS["users"]
JOB = 'name: m\nkind: metadata\ntarget: users\nsource: r.csv\nid: "{id}"\npublic_metadata: {plan: "{plan}"}\n'


def talk_through(talk: Talk[Any], answer: Callable[[Call], Reply]) -> tuple[Any, list[Call]]:
    calls: list[Call] = []
    try:
        call = next(talk)
        while True:
            calls.append(call)
            call = talk.send(answer(call))
    except StopIteration as end:
        return end.value, calls


def user(name: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"public_metadata": {}, "private_metadata": None, "unsafe_metadata": {}}
    return {"id": name, "external_id": None, "username": None, "email_addresses": [], **empty, **more}


def refusal(status: int) -> Reply:
    return Reply(status, problems=(Problem("odd", "odd"),))


def job(tmp_path: Path, text: str = JOB) -> MetadataJob:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = load_job(path)
    assert isinstance(loaded, MetadataJob)
    return loaded


def test_a_hundred_are_asked_for_at_once_and_signs_are_no_signs() -> None:
    values = ["+a", "-b", *(f"x{number}" for number in range(150))]
    found, calls = talk_through(read_current(USERS, "", "external_id", values), lambda _: Reply(200, []))
    assert [len(call.query) for call in calls] == [101, 53]
    assert calls[0].query[:2] == (("external_id", "++a"), ("external_id", "+-b"))
    assert calls[0].query[-1] == ("limit", "100")
    assert found == {value: [] for value in values}


def test_one_bad_value_does_not_refuse_the_others() -> None:
    def answer(call: Call) -> Reply:
        asked = [value for name, value in call.query if name == "user_id"]
        return refusal(422) if "bad" in asked else Reply(200, [user(one) for one in asked])

    values = [*(f"user_{number}" for number in range(7)), "bad"]
    found, calls = talk_through(read_current(USERS, "", "id", values), answer)
    assert isinstance(found["bad"], Reply)
    assert all(len(found[value]) == 1 for value in values[:-1])
    assert len(calls) == 1 + 2 * 3


@pytest.mark.parametrize(
    "rows", [{"odd": 1}, [1], [{"id": 7}], [{"id": "user_1", "public_metadata": {}}], [user("u", public_metadata=[])]]
)
def test_what_is_no_user_is_not_taken_for_an_empty_one(rows: Any) -> None:
    with pytest.raises(ReadRefused):
        talk_through(read_current(USERS, "", "id", ["user_1"]), lambda _: Reply(200, rows))


def test_addresses_and_names_are_matched_whatever_their_case() -> None:
    row = user("user_1", username="Ada", email_addresses=[{"email_address": "Ada@Example.com"}, 3])
    found, _ = talk_through(read_current(USERS, "", "email_address", ["ADA@example.com"]), lambda _: Reply(200, [row]))
    assert [one.subject for one in found["ada@example.com"]] == ["user_1"]
    found, _ = talk_through(read_current(USERS, "", "username", ["ada"]), lambda _: Reply(200, [row]))
    assert [one.subject for one in found["ada"]] == ["user_1"]


def test_members_of_an_organization_that_is_not_there_are_not_there() -> None:
    found, calls = talk_through(read_current(TARGETS["memberships"], "o/1", "id", ["user_1"]), lambda _: refusal(404))
    assert found == {"user_1": []}
    assert calls[0].path == "/organizations/o%2F1/memberships"


def test_a_write_goes_to_its_subject() -> None:
    body: dict[str, Any] = {"public_metadata": {}}
    call = write_call(TARGETS["memberships"], "replace", "org_1/user_1", body, items=2)
    assert (call.method, call.path, call.subject, call.items) == (
        "PATCH",
        "/organizations/org_1/memberships/user_1/metadata",
        "org_1/user_1",
        2,
    )
    call = write_call(USERS, "replace", "user_1", body, items=1)
    assert (call.method, call.operation) == ("PUT", "ReplaceUserMetadata")


def item(plan: str, before: bytes | None = None) -> Item:
    payload = {"value": "user_1", "fields": {"public_metadata": {"plan": plan}}}
    return Item(1, payload, target="user_1", before=before, since_ms=1)


@pytest.mark.parametrize(
    ("now", "state"),
    [("pro", State.DONE), ("free", State.PENDING), ("enterprise", State.UNRESOLVED), (None, State.FAILED)],
)
def test_what_got_no_answer_is_settled_by_what_is_there(tmp_path: Path, now: str | None, state: State) -> None:
    work = MetadataWork(job(tmp_path), 4)
    wanted = {"public_metadata": {"plan": "pro"}}
    before = digest_of(touched("merge", {"public_metadata": {"plan": "free"}}, wanted))
    rows = [] if now is None else [user("user_1", public_metadata={"plan": now, "other": 1})]
    (outcome,), _ = talk_through(work.reconcile([item("pro", before)], 0), lambda _: Reply(200, rows))
    assert isinstance(outcome, Outcome)
    assert outcome.state is state


def test_subjects_that_got_no_answer_are_read_together_and_judged_alone(tmp_path: Path) -> None:
    work = MetadataWork(job(tmp_path), 4)
    payload = {"value": "", "fields": {"public_metadata": {"plan": "pro"}}}
    items = [Item(seq, payload, target=f"user_{seq}", since_ms=1) for seq in (1, 2, 3)]
    there = [user(f"user_{number}", public_metadata={"plan": plan}) for number, plan in ((1, "pro"), (3, "free"))]
    outcomes, calls = talk_through(work.reconcile(items, 0), lambda _: Reply(200, there))
    assert [one.state for one in outcomes] == [State.DONE, State.FAILED, State.UNRESOLVED]
    assert len(calls) == 1


def test_an_answer_that_shows_something_else_is_no_success(tmp_path: Path) -> None:
    work = MetadataWork(job(tmp_path), 4)
    (lane,) = work.lanes
    for shown, state in (({"plan": "pro"}, State.DONE), ({"plan": ["old", "pro"]}, State.FAILED)):
        settled = work.settle(lane, [item("pro")], Reply(200, user("user_1", public_metadata=shown)))
        assert settled is not None
        assert settled[0].state is state
    settled = work.settle(lane, [item("pro")], Reply(200))
    assert settled is not None
    assert settled[0].state is State.DONE


def test_rows_that_cannot_be_sent_say_why_without_their_content(tmp_path: Path) -> None:
    drafting = MetadataDrafting(job(tmp_path))
    for bad, code in (("", "missing_value"), ("..", "invalid_id"), ("a/b", "invalid_id"), ("a\nb", "invalid_id")):
        with pytest.raises(RowProblem) as caught:
            drafting.draft({"id": bad, "plan": "pro"})
        assert caught.value.code in (code, "value_invalid")
    large = MetadataDrafting(job(tmp_path, JOB + "mode: replace\n"))
    with pytest.raises(RowProblem, match="8,192"):
        large.draft({"id": "user_1", "plan": "x" * 8192})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (('id: "{id}"\n', ""), "id: is missing"),
        (('id: "{id}"\n', 'id: "{id}"\nmatch: {username: "{id}"}\n'), "and id cannot both be given"),
        (('id: "{id}"', 'id: "user_1"'), "names no column"),
        (('id: "{id}"', 'id: {organization_id: "{o}", usr_id: "{u}"}'), "did you mean user_id?"),
        (('id: "{id}"', 'id: {organization_id: "{o}", user_id: "{u}"}'), "does not fit target: users"),
        (('id: "{id}"', "match: {email: 1}"), "did you mean email_address?"),
        (('id: "{id}"', 'match: "{email}"'), "must be a map with one identifier"),
        (("target: users", "target: memberships"), "does not fit target: memberships"),
        (("target: users", "target: organizations\nunsafe_metadata: {a: 1}"), "does not exist for organizations"),
        (('id: "{id}"', 'match: {username: "{u}"}'), None),
        (('public_metadata: {plan: "{plan}"}', ""), "would write nothing"),
        (('{plan: "{plan}"}', "{plan: {a: null}}\nmode: replace"), "has a null"),
        (("kind: metadata", "kind: metadata\napi_version: 2025-03-12\nmode: replace"), "has no operation"),
        (("kind: metadata", "kind: metadata\napi_version: 2020-01-01"), "api_version"),
    ],
)
def test_job_files_say_what_is_wrong(tmp_path: Path, changed: tuple[str, str], told: str | None) -> None:
    text = JOB.replace(*changed)
    if told is None:
        assert job(tmp_path, text).by == "username"
        return
    with pytest.raises(JobFileError) as caught:
        job(tmp_path, text)
    assert told in str(caught.value)


def test_what_is_known_of_other_rows_is_used_for_the_very_same_alone(tmp_path: Path) -> None:
    screening = MetadataWork(job(tmp_path), 1).screening

    def judged(there: dict[str, Any], *rows: dict[str, Any]) -> Verdict:
        unit = [Item(seq, {"value": "user_1", "fields": {"public_metadata": row}}) for seq, row in enumerate(rows)]
        reply = Reply(200, [user("user_1", public_metadata=there)])
        verdicts: list[Verdict] = talk_through(screening.read([unit]), lambda _: reply)[0]
        return verdicts[0]

    for wanted in (1, True, 1.0, 1):
        assert (judged({"a": 1}, {"a": wanted}).image is None) == (type(wanted) is int)
    alone, folded = {"a": {"b": 1}}, ({"a": None}, {"a": {"b": 1}})
    for _ in range(2):
        places = [judged({"a": {"old": 1}}, *rows).image for rows in ((alone,), folded)]
        assert [len(decode_changes(image.changes)) for image in places if image is not None] == [1, 2]


def test_rows_of_the_same_cells_write_the_same_and_others_do_not(tmp_path: Path) -> None:
    drafting = MetadataDrafting(job(tmp_path, JOB.replace('"{plan}"', '"{plan:json}"')))
    plans: list[Any] = ["1", 1, True, 1.0, "1", [1], {"b": 1}, "[1]", -0.0, 0.0]
    written = [drafting.payload({"id": "user_1", "plan": plan})[1]["fields"] for plan in plans]
    assert [repr(one["public_metadata"]["plan"]) for one in written] == [
        "1", "1", "True", "1.0", "1", "[1]", "{'b': 1}", "[1]", "-0.0", "0.0"
    ]  # fmt: skip
    assert written[0] is written[4]
    nested = MetadataDrafting(job(tmp_path, JOB.replace("{plan}", "{data.plan}")))
    rows = [nested.payload({"id": "user_1", "data": f'{{"plan": "{plan}"}}'})[1]["fields"] for plan in "ab"]
    assert [one["public_metadata"]["plan"] for one in rows] == ["a", "b"]
