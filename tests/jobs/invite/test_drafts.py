"""A row becomes a draft, or says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clerk_jobs.errors import RowProblem
from clerk_jobs.invite import Drafting
from clerk_jobs.invite.drafts import check_address
from clerk_jobs.jobfile import InviteJob, load_job


def drafting(folder: Path, more: str = "", email: str = '"{email}"') -> Drafting:
    path = folder / "job.yaml"
    path.write_text(f"name: drafts\nkind: invite\nsource: people.csv\nemail: {email}\n{more}")
    job = load_job(path)
    assert isinstance(job, InviteJob)
    return Drafting(job)


def test_one_person_has_one_key_however_it_is_spelt(tmp_path: Path) -> None:
    invite = drafting(tmp_path)
    one = invite.draft({"email": "Jane.Doe@Example.com"})
    other = invite.draft({"email": " jane.doe@example.COM "})
    assert one.key == other.key
    assert one.key != invite.draft({"email": "jane.doe+news@example.com"}).key


def test_the_address_is_sent_as_it_is_written(tmp_path: Path) -> None:
    assert drafting(tmp_path).payload({"email": " Jane@Example.com "})[1]["email_address"] == "Jane@Example.com"


def test_a_digest_is_of_all_that_is_sent(tmp_path: Path) -> None:
    invite = drafting(tmp_path, 'public_metadata: {seats: "{seats:int}"}\n')
    base = {"email": "a@example.com", "seats": "1"}
    assert invite.draft(base).digest == invite.draft({**base, "unused": "x"}).digest
    assert invite.draft(base).digest != invite.draft({**base, "seats": "2"}).digest


def test_organizations_are_groups(tmp_path: Path) -> None:
    invite = drafting(tmp_path, 'organization: "{org}"\nrole: "{role}"\n')
    one = invite.draft({"email": "a@example.com", "org": "org_1", "role": "org:member"})
    other = invite.draft({"email": "a@example.com", "org": "org_2", "role": "org:member"})
    assert (one.group, other.group) == ("org_1", "org_2")
    assert one.key != other.key


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"email": "", "org": "org_1", "role": "org:member"}, "missing_value"),
        ({"email": "  ", "org": "org_1", "role": "org:member"}, "missing_value"),
        ({"email": None, "org": "org_1", "role": "org:member"}, "value_invalid"),
        ({"email": 7, "org": "org_1", "role": "org:member"}, "value_invalid"),
        ({"email": "a@example.com", "org": "", "role": "org:member"}, "missing_value"),
        ({"email": "a@example.com", "org": "  ", "role": "org:member"}, "missing_value"),
        ({"email": "a@example.com", "org": 7, "role": "org:member"}, "value_invalid"),
        ({"email": "a@example.com", "org": "org_1", "role": "member"}, "invalid_role"),
        ({"email": "a@example.com", "org": "org_1", "role": ""}, "missing_value"),
        ({"email": "a@example.com", "org": "org_1", "role": 7}, "value_invalid"),
        ({"email": "a@example", "org": "org_1", "role": "org:member"}, "invalid_email"),
    ],
)
def test_rows_that_cannot_be_sent(tmp_path: Path, values: dict[str, Any], code: str) -> None:
    with pytest.raises(RowProblem) as problem:
        drafting(tmp_path, 'organization: "{org}"\nrole: "{role}"\n').draft(values)
    assert problem.value.code == code


def test_the_nearest_role_is_told(tmp_path: Path) -> None:
    with pytest.raises(RowProblem, match="did you mean org:member"):
        drafting(tmp_path, 'organization: "{org}"\nrole: "{role}"\n').draft(
            {"email": "a@example.com", "org": "org_1", "role": "member"}
        )


BAD = [
    "",
    "a",
    "@example.com",
    "a@",
    "a@b@example.com",
    "a b@example.com",
    "a@exa mple.com",
    ".a@example.com",
    "a.@example.com",
    "a..b@example.com",
    "a@-example.com",
    "a@example",
    "a@localhost",
    "a@host.local",
    "a@nothing.invalid",
    "a@[127.0.0.1]",
    "a\n@example.com",
    "a@example.com\n",
    "Jane <a@example.com>",
    f"a@{'x' * 64}.com",
    f"a@{'x.' * 130}com",
]


@pytest.mark.parametrize("address", BAD)
def test_no_addresses(address: str) -> None:
    with pytest.raises(RowProblem) as problem:
        check_address(address)
    assert not address or len(address) < 3 or address not in str(problem.value)


@pytest.mark.parametrize(
    "address", ["jane+news@example.com", "o'neil@example.com", "jörg@exämple.de", "a@xn--exmple-cua.de"]
)
def test_addresses(address: str) -> None:
    check_address(address)


LOCAL = st.text("abzAZ09._+-'!é ", max_size=70)
DOMAIN = st.text("abz09.-_é", max_size=80) | st.sampled_from(["example.com", "b.co", "local", "host.local", "x.test"])


@settings(max_examples=300)
@given(LOCAL, DOMAIN)
@example("a", "example.com\n")
@example("a\n", "example.com")
@example("x" * 64, "example.com")
@example("x" * 65, "example.com")
@example("a.b", "example.com")
def test_the_short_way_says_what_the_library_says(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    try:
        validate_email(address, check_deliverability=False, allow_smtputf8=True)
        expected = True
    except EmailNotValidError:
        expected = False
    try:
        check_address(address)
        found = True
    except RowProblem:
        found = False
    assert found is expected
