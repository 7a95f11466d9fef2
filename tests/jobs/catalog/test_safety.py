"""The safety classes, looked at from the operations and not from the table."""

from __future__ import annotations

import pytest

from clerk_jobs.call import Safety
from clerk_jobs.catalog import load
from clerk_jobs.catalog import safety as table

EVERY = [operation for version in load().versions for operation in load(version).operations()]
IDS = {operation.operation_id for operation in EVERY}

# What a person reads off the names: whoever says one of these makes, sends or mints something.
MAKES = (
    "Create",
    "Add",
    "Invite",
    "Rotate",
    "Apply",
    "Generate",
    "Prepare",
    "Attempt",
    "Refresh",
    "Complete",
    "Change",
)


def test_the_tables_name_operations_that_exist_and_have_the_right_method() -> None:
    methods = {operation.operation_id: operation.method for operation in EVERY}
    assert IDS >= table._REPEATABLE
    assert {methods[name] for name in table._REPEATABLE} == {"POST"}
    assert {methods[name] for name in table._ONCE} <= {"PUT", "PATCH", "DELETE"}


def test_reads_and_only_reads_are_reads() -> None:
    for operation in EVERY:
        assert (operation.safety is Safety.READ) is (operation.method == "GET")


def test_whatever_makes_something_happens_once() -> None:
    for operation in EVERY:
        name = operation.operation_id[0].upper() + operation.operation_id[1:]
        if name.startswith(MAKES):
            assert operation.safety is Safety.ONCE, operation


@pytest.mark.parametrize(
    "word", ["Revoke", "Ban", "Unban", "Lock", "Unlock", "UsersBan", "UsersUnban", "Merge", "Delete"]
)
def test_whatever_sets_a_state_may_be_repeated(word: str) -> None:
    chosen = [o for o in EVERY if o.operation_id.lower().startswith(word.lower())]
    assert chosen
    assert {operation.safety for operation in chosen} == {Safety.IDEMPOTENT}


def test_the_one_billing_call_that_may_be_repeated_always_carries_its_key() -> None:
    adjusting = [operation for operation in EVERY if operation.operation_id.startswith("Adjust")]
    assert adjusting
    for operation in adjusting:
        assert operation.body is not None
        assert operation.body.required
        assert "idempotency_key" in operation.body.schema.required


def test_an_operation_of_tomorrow_is_not_repeated_by_guess() -> None:
    assert table.safety_of("POST", "MergeUsers") is Safety.ONCE
    assert table.safety_of("PUT", "SetSomething") is Safety.IDEMPOTENT
