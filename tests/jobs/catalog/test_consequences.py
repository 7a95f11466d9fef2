"""Every DELETE of every version says what it destroys, each in its own words."""

from __future__ import annotations

from clerk_jobs.catalog import load
from clerk_jobs.catalog.consequences import CONSEQUENCES, DESTROYS, consequences_of, destroyed_by

EVERY = [operation for version in load().versions for operation in load(version).operations()]


def test_every_delete_has_its_entry_and_no_other_operation_has() -> None:
    assert {operation.operation_id for operation in EVERY if operation.method == "DELETE"} == set(DESTROYS)
    assert len(DESTROYS) == 37


def test_no_two_resources_are_explained_with_one_sentence() -> None:
    said = [destroyed[0] for destroyed in DESTROYS.values()]
    assert len(set(said)) >= 36  # a connection is a connection, SAML or enterprise: the settings differ
    assert all(line and not line.endswith(".") for destroyed in DESTROYS.values() for line in destroyed)


def test_other_writes_that_are_explained_exist() -> None:
    assert set(CONSEQUENCES) <= {operation.operation_id for operation in EVERY if operation.method != "GET"}
    assert not set(CONSEQUENCES) & set(DESTROYS)


def test_whatever_may_send_a_message_says_so() -> None:
    for operation in EVERY:
        if operation.method == "POST" and operation.body is not None:
            schema = operation.body.schema
            if "notify" in (schema.items or schema).properties and "identifier" not in schema.properties:
                assert "e-mail goes to" in consequences_of(operation.operation_id)[0], operation


def test_a_user_takes_everything_along() -> None:
    assert destroyed_by("DeleteUser") == (
        "the user's record",
        "all sessions of the user",
        "all memberships of the user",
        "all data associated with the user",
    )


def test_a_delete_of_tomorrow_says_that_it_is_not_known() -> None:
    assert "not in our table" in destroyed_by("DeleteGalaxy")[0]
    assert consequences_of("CreateGalaxy") == ()
