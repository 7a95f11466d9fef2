"""Creating users: what a row becomes, who is found, and what an answer, or none, means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from clerk_jobs.call import Call, Item, Outcome, Problem, Reply, State, Talk
from clerk_jobs.catalog import load
from clerk_jobs.create_users.changes import difference
from clerk_jobs.create_users.digests import HASHERS, digest_problem
from clerk_jobs.create_users.drafts import CreateDrafting
from clerk_jobs.create_users.facts import create_fields
from clerk_jobs.create_users.moments import MomentError, milliseconds_of, rfc3339
from clerk_jobs.create_users.people import find, is_same_person
from clerk_jobs.create_users.texts import status_of
from clerk_jobs.create_users.undo import UndoCreatesDrafting, UndoCreatesWork
from clerk_jobs.create_users.work import CreateWork
from clerk_jobs.errors import JobFileError, RowProblem
from clerk_jobs.jobfile import CreateUsersJob, UndoCreatesJob, load_job
from clerk_jobs.jobfile.create_users_job import CREATE_USERS

HEAD = "name: i\nkind: create-users\nsource: rows.csv\n"
KEYED = HEAD + 'external_id: "{id}"\nemail_address: "{email?}"\nfirst_name: "{first?}"\n'
BCRYPT = "$2b$10$" + "a" * 53
GOOD = {
    "argon2i": "$argon2i$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
    "argon2id": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g",
    "awscognito": "awscognito#eu-west-1_abc#client#ada",
    "bcrypt": BCRYPT,
    "bcrypt_sha256_django": f"bcrypt_sha256${BCRYPT}",
    "ldap_ssha": "{SSHA}c2FsdHNhbHQ=",
    "md5": "5f4dcc3b5aa765d61d8327deb882cf99",
    "pbkdf2_sha1": "pbkdf2_sha1$1000$salt$0a1b2c",
    "pbkdf2_sha256": "pbkdf2_sha256$1000$c2FsdA==$aGFzaA==",
    "pbkdf2_sha256_django": "pbkdf2_sha256$1000$plain salt$aGFzaA==",
    "phpass": "$P$" + "B" * 31,
    "scrypt_firebase": "aGFzaA==$c2FsdA==$a2V5$Bw==$8$14",
    "sha256": "0" * 64,
}


def job(folder: Path, text: str) -> CreateUsersJob:
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = load_job(path)
    assert isinstance(loaded, CreateUsersJob)
    return loaded


def body(folder: Path, text: str, **values: Any) -> dict[str, Any]:
    drafting = CreateDrafting(job(folder, text))
    drafting.draft(values)
    return drafting.payload(values)[1]


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
    addresses = [{"email_address": each} for each in more.pop("emails", [])]
    empty: dict[str, Any] = {"external_id": None, "username": None, "first_name": None, "phone_numbers": []}
    return {"id": name, **empty, "email_addresses": addresses, "public_metadata": {}, **more}


def clerk(*users: Mapping[str, Any]) -> Callable[[Call], Reply]:
    """Answers lists of users as Clerk does."""

    def answer(call: Call) -> Reply:
        assert call.query[-1] == ("limit", "100")
        asked = {(name, value.lower()) for name, value in call.query[:-1]}
        found = []
        for each in users:
            known = {("external_id", str(each["external_id"])), ("user_id", each["id"].lower())}
            known |= {("email_address", address["email_address"].lower()) for address in each["email_addresses"]}
            found += [each] if known & asked else []
        return Reply(200, found)

    return answer


# ---------------------------------------------------------------- fields


def test_every_field_of_the_catalogue_is_a_key_in_every_version() -> None:
    assert set(create_fields()) <= set(CREATE_USERS.__struct_fields__)
    for version in ("2021-02-05", "2025-11-10", "2026-05-12"):
        body = load(version).operation("CreateUser").body
        assert body is not None
        assert set(body.schema.properties) <= set(CREATE_USERS.__struct_fields__), version


def test_every_field_is_rendered_in_the_form_that_clerk_takes(tmp_path: Path) -> None:
    shapes = {"boolean": ("true", True), "integer": ("3", 3), "object": ("{a: 1}", {"a": 1})}
    special: dict[str, tuple[str, Any]] = {
        "email_address": ("a@example.com", ["a@example.com"]),
        "phone_number": ("'+12025550100'", ["+12025550100"]),
        "password_digest": (f"'{BCRYPT}'", BCRYPT),
        "password_hasher": ("bcrypt", "bcrypt"),
        "created_at": ("1704164645000", "2024-01-02T03:04:05.000Z"),
        "legal_accepted_at": ("2024-01-02 03:04:05+01", "2024-01-02T02:04:05.000Z"),
        "email_address_identification_status": ("reserved", ["reserved"]),
        "phone_number_identification_status": ("reserved", ["reserved"]),
        "external_id": ('"{id}"', "u1"),
    }
    text, expected = HEAD, {}
    for name, schema in create_fields().items():
        plain = ("[x, y]", ["x", "y"]) if schema.type == "array" else ("x", "x")
        written, expected[name] = special.get(name) or shapes.get(schema.type or "") or plain
        text += "" if name == "password" else f"{name}: {written}\n"
    del expected["password"]
    assert body(tmp_path, text, id="u1") == expected


def test_addresses_that_are_left_out_take_their_states_with_them(tmp_path: Path) -> None:
    text = HEAD + 'external_id: "{id}"\nemail_address: ["{a?}", "{more:list?}", "{c?}"]\n'
    text += 'email_address_identification_status: [verified, "{ok}", reserved]\n'
    whole = body(
        tmp_path, text, id="1", a="a@example.com", more="b@example.com; A@example.com", ok="", c="d@example.com"
    )
    assert whole["email_address"] == ["a@example.com", "b@example.com", "d@example.com"]
    # Of an address that is named twice the weaker state counts.
    assert whole["email_address_identification_status"] == ["reserved", "reserved", "reserved"]
    less = body(tmp_path, text, id="1", a="", more="", ok="true", c="d@example.com")
    assert (less["email_address"], less["email_address_identification_status"]) == (["d@example.com"], ["reserved"])
    assert "email_address_identification_status" not in body(tmp_path, text, id="1", a="", more="", ok="", c="")


def test_half_a_digest_or_number_is_none_and_a_hasher_alone_is_not_sent(tmp_path: Path) -> None:
    text = HEAD + 'external_id: "{id}"\npassword_digest: "{h?}${s?}$k$Bw==$8$14"\npassword_hasher: scrypt_firebase\n'
    text += 'phone_number: "+{phone?}"\nbanned: "{banned:bool?}"\n'
    assert body(tmp_path, text, id="1", h="", s="c2FsdA==", phone="", banned="no") == {"external_id": "1"}
    assert body(tmp_path, text, id="1", h="aGFzaA==", s="c2FsdA==", phone="12025550100", banned="yes") == {
        "external_id": "1",
        "password_digest": "aGFzaA==$c2FsdA==$k$Bw==$8$14",
        "password_hasher": "scrypt_firebase",
        "phone_number": ["+12025550100"],
        "banned": True,
    }


@pytest.mark.parametrize(
    ("more", "values", "code"),
    [
        ("", {"id": ""}, "missing_value"),
        ("", {"id": "1", "email": "no address"}, "invalid_email"),
        ("phone_number: '{p}'\n", {"id": "1", "p": "0170 123"}, "invalid_phone_number"),
        ("phone_number: '{p}'\n", {"id": "1", "p": [1]}, "value_invalid"),
        ("created_at: '{t}'\n", {"id": "1", "t": "2024-01-02T03:04:05"}, "value_invalid"),
        ("public_metadata: '{m:json}'\n", {"id": "1", "m": "[1]"}, "value_invalid"),
        ("public_metadata: {a: '{m}'}\n", {"id": "1", "m": "x" * 8192}, "metadata_too_large"),
        ("private_metadata: {a: '{m}'}\n", {"id": "1", "m": "x" * 8192}, "metadata_too_large"),
        ("unsafe_metadata: {a: '{m}'}\n", {"id": "1", "m": "x" * 8192}, "metadata_too_large"),
        ("password_digest: '{h}'\npassword_hasher: bcrypt\n", {"id": "1", "h": BCRYPT[:-1]}, "invalid_digest"),
        ("password_digest: '{h}'\npassword_hasher: '{h}'\n", {"id": "1", "h": "rot13"}, "value_invalid"),
        (
            "email_address_identification_status: '{s}'\n",
            {"id": "1", "email": "a@example.com", "s": "x"},
            "value_invalid",
        ),
    ],
)
def test_a_row_that_cannot_be_sent_is_told_why_and_never_shown(
    tmp_path: Path, more: str, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(RowProblem) as caught:
        body(tmp_path, KEYED + more, **{"email": "", "first": "", **values})
    assert caught.value.code == code
    assert not any(
        isinstance(value, str) and len(value) > 3 and value in str(caught.value) for value in values.values()
    )


def test_a_row_without_any_identifier_is_refused_unless_clerk_may_take_it(tmp_path: Path) -> None:
    text = HEAD + 'email_address: "{email?}"\nfirst_name: "{first}"\n'
    with pytest.raises(RowProblem, match="nothing identifies this user"):
        body(tmp_path, text, email="", first="Ada")
    assert body(tmp_path, text + "skip_user_requirement: true\n", email="", first="Ada")["first_name"] == "Ada"


def test_secrets_are_in_no_digest(tmp_path: Path) -> None:
    drafting = CreateDrafting(job(tmp_path, KEYED + 'password: "{p}"\n'))
    one, other = ({"id": "1", "email": "", "first": "", "p": secret} for secret in ("one secret", "other secret"))
    assert drafting.draft(one) == drafting.draft(other)
    assert drafting.draft(one) != drafting.draft({**one, "first": "Ada"})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('email: "{email}"\n', "did you mean email_address?"),
        ('first_name: "{first}"\n', "no other field identifies a user"),
        ('email_address: "{email}"\npassword_hasher: bcrypt\n', "is only used with password_digest"),
        ('email_address: "{email}"\npassword_digest: "{h}"\npassword_hasher: bcrpyt\n', "bcrypt"),
        ('email_address: ["{a}", "{b?}"]\nemail_address_identification_status: [verified]\n', "has 1 entries for 2"),
        ('email_address: "{email}"\nmapping: ids.csv\n', "has no old id"),
        ('email_address: "{email}"\nupdate_passwords: true\n', "changes nothing here"),
    ],
)
def test_a_job_file_says_what_is_wrong_with_it(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(JobFileError) as caught:
        job(tmp_path, HEAD + written)
    assert said in str(caught.value)


# ---------------------------------------------------------------- digests, times, states


@pytest.mark.parametrize("hasher", HASHERS)
def test_the_form_of_a_digest_is_checked_where_it_is_plain(hasher: str) -> None:
    checked = HASHERS[hasher] is not None
    assert checked == (hasher in GOOD)
    assert digest_problem(hasher, GOOD.get(hasher, "anything")) is None
    for broken in ("", "secret-digest", GOOD.get(hasher, "") + "\n"):
        problem = digest_problem(hasher, broken)
        assert (problem is not None) == checked
        assert problem is None or "secret" not in problem


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000Z"),
        (" 2024-01-02 03:04:05.123456+00 ", "2024-01-02T03:04:05.123Z"),
        ("2024-01-02T03:04:05-05:00", "2024-01-02T08:04:05.000Z"),
        (1704164645999, "2024-01-02T03:04:05.999Z"),
        (1704164645000.0, "2024-01-02T03:04:05.000Z"),
        ("1704164645000", "2024-01-02T03:04:05.000Z"),
    ],
)
def test_times_of_exports_become_rfc_3339(value: Any, expected: str) -> None:
    assert rfc3339(value) == expected
    assert rfc3339(milliseconds_of(expected)) == expected


@pytest.mark.parametrize("value", ["", "x", None, True, [], "2024-01-02", 1704164645, "1704164645", 10**18, 1.5, "-5"])
def test_what_is_no_instant_is_refused(value: Any) -> None:
    with pytest.raises(MomentError):
        rfc3339(value)


def test_states_are_read_as_exports_write_them() -> None:
    for yes in (True, "TRUE", "verified", "2024-01-02T03:04:05Z", "2024-01-02", 1704164645000):
        assert status_of(yes, "s") == "verified"
    for no in (False, None, "", "false", "0", "reserved", "unverified"):
        assert status_of(no, "s") == "reserved"
    odds: tuple[Any, ...] = ("maybe", [], 5)
    for odd in odds:
        with pytest.raises(RowProblem):
            status_of(odd, "s")


# ---------------------------------------------------------------- who is found


def test_people_are_asked_for_a_hundred_at_once_by_the_keys_that_settle_it() -> None:
    payloads: list[Mapping[str, Any]] = [
        {"external_id": f"x{n}", "email_address": [f"p{n}@example.com"]} for n in range(150)
    ]
    payloads.append({"phone_number": ["+12025550100"], "username": "ada"})
    found, calls = talk_through(
        find(payloads), clerk(user("u1", external_id="x7"), user("u2", emails=["P9@example.com"]))
    )
    kinds = [(call.query[0][0], len(call.query) - 1) for call in calls]
    assert kinds == [
        ("external_id", 100), ("external_id", 50), ("email_address", 100), ("email_address", 50),
        ("phone_number", 1), ("username", 1),
    ]  # fmt: skip
    assert [(place, list(one.users)) for place, one in enumerate(found) if one.users] == [(7, ["u1"]), (9, ["u2"])]


def test_one_value_that_clerk_refuses_does_not_refuse_the_others() -> None:
    def answer(call: Call) -> Reply:
        if any(value == "bad" for _, value in call.query):
            return Reply(422, problems=(Problem("form_param_invalid", "odd"),))
        return Reply(200, [])

    found, _ = talk_through(find([{"external_id": name} for name in ("a", "bad", "c", "d")]), answer)
    assert [one.refusal is not None for one in found] == [False, True, False, False]


def test_by_address_a_user_is_the_same_person_only_if_all_that_the_row_says_holds() -> None:
    wanted = {
        "email_address": ["a@example.com"],
        "first_name": "Ada",
        "public_metadata": {"plan": "pro"},
        "created_at": "2019-01-02T03:04:05.000Z",
    }
    same = user("u", emails=["A@example.com"], first_name="Ada", public_metadata={"plan": "pro", "x": 1}, created_at=5)
    assert is_same_person(wanted, same)
    others: tuple[dict[str, Any], ...] = (
        {"first_name": "Eve"},
        {"public_metadata": {"plan": "free"}},
        {"email_addresses": []},
    )
    for other in others:
        assert not is_same_person(wanted, {**same, **other})
    assert is_same_person({"external_id": "x", "first_name": "Ada"}, user("u", external_id="x", first_name="Eve"))


# ---------------------------------------------------------------- answers


def work(folder: Path, text: str = KEYED) -> CreateWork:
    loaded = job(folder, text)
    return CreateWork(loaded, CreateDrafting(loaded), 1)


def item(**more: Any) -> Item:
    payload = {"external_id": "x1", "email_address": ["a@example.com"]}
    return Item(1, more.pop("payload", payload), **more)


EXISTS = Reply(422, problems=(Problem("form_identifier_exists", "taken"),))


def test_a_whole_answer_settles_a_row_and_a_duplicate_is_looked_up(tmp_path: Path) -> None:
    made = work(tmp_path)
    (lane,) = made.lanes
    assert made.settle(lane, [item()], Reply(200, {"id": "u1"})) == [Outcome(1, State.DONE, resource_id="u1")]
    assert made.settle(lane, [item()], EXISTS) is None
    assert made.settle(lane, [item()], Reply(200, None)) is None
    (failed,) = made.settle(lane, [item()], Reply(422, problems=(Problem("form_password_pwned", "known"),))) or []
    assert (failed.state, failed.code) == (State.FAILED, "form_password_pwned")


@pytest.mark.parametrize(
    ("there", "doubtful", "reply", "state", "code"),
    [
        ([], False, EXISTS, State.FAILED, "form_identifier_exists"),
        ([], True, EXISTS, State.DOUBT, ""),
        ([user("u", external_id="x1")], True, EXISTS, State.DONE, "reconciled"),
        ([user("u", external_id="x1")], False, EXISTS, State.SKIPPED, "already_exists"),
        ([user("u", emails=["a@example.com"])], True, EXISTS, State.SKIPPED, "already_exists"),
        ([user("u", emails=["a@example.com"], external_id="x2")], False, EXISTS, State.FAILED, "other_external_id"),
        ([user("u", external_id="x1")], False, Reply(200, None), State.DONE, "reconciled"),
        ([], False, Reply(200, None), State.DOUBT, ""),
    ],
)
def test_what_a_refusal_means_is_read(
    tmp_path: Path, there: list[Any], doubtful: bool, reply: Reply, state: State, code: str
) -> None:
    one = item(since_ms=1 if doubtful else None)
    ((outcome,), _) = talk_through(work(tmp_path).after_refusal([one], 1, reply), clerk(*there))
    assert (outcome.state, outcome.code) == (state, code)


def test_a_lost_create_is_sent_again_only_if_two_looks_find_nobody(tmp_path: Path) -> None:
    made = work(tmp_path)
    ((outcome,), calls) = talk_through(made.reconcile([item()], 1), clerk())
    assert (outcome.state, len(calls)) == (State.PENDING, 4)
    ((outcome,), _) = talk_through(made.reconcile([item()], 1), clerk(user("u", external_id="x1")))
    assert outcome == Outcome(1, State.DONE, "reconciled", outcome.message, resource_id="u")
    ((outcome,), calls) = talk_through(made.reconcile([item(payload={"first_name": "Ada"})], 1), clerk())
    assert (outcome.state, calls) == (State.UNRESOLVED, [])


def test_lost_creates_are_looked_up_together_and_each_is_judged_alone(tmp_path: Path) -> None:
    """Made, absent, and asked for in vain: the refusal of one key leaves the others as they are."""
    rows = [Item(seq, {"external_id": f"x{seq}"}, since_ms=1) for seq in (1, 2, 3)]
    answered = clerk(user("u", external_id="x1"))

    def answer(call: Call) -> Reply:
        return Reply(400, None, (Problem("bad", "no"),)) if ("external_id", "x3") in call.query else answered(call)

    outcomes, calls = talk_through(work(tmp_path).reconcile(rows, 1), answer)
    assert [one.state for one in outcomes] == [State.DONE, State.PENDING, State.UNRESOLVED]
    # The first look is halved around the refused key, the second asks only for whom nobody has found.
    assert [len(call.query) - 1 for call in calls] == [3, 1, 2, 1, 1, 1]


def test_only_what_differs_is_written_and_passwords_only_if_told(tmp_path: Path) -> None:
    more = 'on_existing: update\ntotp_secret: "{p}"\npassword: "{p}"\nlocale: de\ncreated_at: "{t}"\n'
    more += "public_metadata: {a: {b: 1}}\n"
    values = {"id": "x1", "email": "", "first": "Ada", "p": "a secret", "t": "2024-01-02T03:04:05Z"}
    there = user("u", external_id="x1", first_name="Eve", locale="de", created_at=1704164645000)
    for told, profile in (
        ("", {"first_name": "Ada"}),
        ("update_passwords: true\n", {"first_name": "Ada", "password": "a secret"}),
    ):
        loaded = job(tmp_path, KEYED + more + told)
        found = difference(loaded, CreateDrafting(loaded).payload(values)[1], {**there, "public_metadata": {"c": 2}})
        assert (found.profile, found.metadata) == (profile, {"public_metadata": {"a": {"b": 1}}})
    assert difference(loaded, {"public_metadata": {"a": 1}}, user("u", public_metadata={"a": 1})).nothing
    assert difference(
        loaded, {"public_metadata": {"a": "x" * 5000}}, user("u", public_metadata={"b": "x" * 5000})
    ).too_large


def test_an_undo_leaves_whoever_has_signed_in_since(tmp_path: Path) -> None:
    path = tmp_path / "undo.yaml"
    rows = UndoCreatesDrafting()
    delete = Item(1, rows.payload({"id": "u", "does": "delete"})[1], "delete")
    restore = Item(2, rows.payload({"id": "u", "does": "restore", "changes": []})[1], "restore")
    outcomes = {}
    for force in ("false", "true"):
        path.write_text(f"name: u\nkind: undo-create-users\nsource: rows.jsonl\nforce: {force}\n")
        loaded = load_job(path)
        assert isinstance(loaded, UndoCreatesJob)
        undo = UndoCreatesWork(loaded, 1)
        for seen in (None, 5):
            for there in ([user("u", last_sign_in_at=seen)], []):
                (verdicts, _) = talk_through(undo.read([[delete]]), clerk(*there))
                outcomes[force, seen, bool(there)] = (verdicts[0].outcomes[0].state, verdicts[0].outcomes[0].code)
                ((verdict,), _) = talk_through(undo.read([[restore]]), clerk(*there))
                assert verdict.outcomes[0].state is (State.SKIPPED if there else State.FAILED)
    assert outcomes["false", 5, True] == (State.FAILED, "conflict")
    assert outcomes["true", 5, True] == outcomes["false", None, True] == (State.PENDING, "")
    assert outcomes["false", None, False] == (State.DONE, "already_absent")
    for broken in ({}, {"id": "u", "does": "eat"}, {"id": 1, "does": "delete"}):
        with pytest.raises(RowProblem):
            rows.draft(broken)
    # Right before the deletion the user is read once more.
    (prepared, calls) = talk_through(undo.prepare(undo.lanes[0], [delete]), clerk(user("u")))
    assert (prepared.method, prepared.path, len(calls)) == ("DELETE", "/users/u", 1)
