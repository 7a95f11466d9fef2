"""What is wrong in a job file: every fault at once, with its place, the key's path and the nearest valid name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clerk_jobs.errors import Fault, JobFileError
from clerk_jobs.jobfile import load_job
from clerk_jobs.jobfile.loading import MAX_JOB_FILE

OUTSIDE = "is outside the job file's folder; move the file there, or pass --allow-outside"
UNQUOTED = 'YAML reads braces without quotes as a map; a text that begins with a brace needs quotes, "{email}"'
ONLY_FOR_ORGANIZATIONS = "is only for invitations to organizations; add organization:, or remove it"
THRESHOLD = "must be a count of at least 1, or a share from 0% to 100%"
QUARANTINE = (
    "must be from 80s to 86400s; an attempt may take 60s and its effect may show 20s later; "
    "a shorter one could invite somebody twice"
)
CASTS = "casts are str, int, float, bool, json, list, first, rest; a column with a colon in its name needs one"
OTHER_TYPE = "but this is always of another type; write one template with a cast"
LEAST = 'name: beta\nkind: invite\nsource: people.csv\nemail: "{email}"\n'


def faults(folder: Path, text: str | bytes, *overrides: tuple[str, str]) -> list[str]:
    """The lines of the error, without the file's name."""
    file = folder / "job.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(JobFileError) as caught:
        load_job(file, overrides)
    assert caught.value.faults
    return str(caught.value).replace(f"{file}:", "").splitlines()


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    text = """\
name: -beta
kind: invite
instanse: production
source: ../people.csv
email: {email}
role: member
publicMetadata: {}
public_metadata: {cohort: "{cohort", "{x}": 1, n: [{seats:int}], a: {b: "c {d:e}"}}
notify: "yes"
on_existing: skipp
share: 0.4
limits: {share: 2, per_hours: 50, per_day: 0}
errors: {stop_after: 0%}
reconcile: {quarantine: 30s}
expires_in_days: 366
private_metadata: [a]
inviter_user_id: user_1
template_slug: waitlist
redirect_url: example.com/x
api_version: 2026
"""
    assert faults(tmp_path, text) == [
        "1:7: name: must be at most 64 of letters, digits, blanks and . _ -, a letter or digit first",
        "3:1: instanse: is not a key here; did you mean instance?",
        f"4:9: source: {OUTSIDE}",
        f"5:8: email: {UNQUOTED}",
        '6:7: role: is only for organizations; add organization: "{org_id}", or remove it',
        "6:7: role: must begin with org:; did you mean org:member?",
        "7:1: publicMetadata: is not a key here; keys are written in snake_case; did you mean public_metadata?",
        "8:28: public_metadata.cohort: a brace that is never closed; write {{ for a plain brace",
        "8:38: public_metadata.'{x}': a key cannot be a template; use templates in values only",
        f"8:52: public_metadata.n[0]: {UNQUOTED}",
        f"8:79: public_metadata.a.b: 'e' is not a cast; {CASTS}",
        "9:9: notify: must be true or false",
        "10:14: on_existing: must be one of fail, reinvite, skip; did you mean skip?",
        "11:1: share: is not a key here; did you mean limits.share?",
        "12:17: limits.share: must be a number above 0 and at most 1",
        "12:20: limits.per_hours: is not a key here; did you mean per_hour?",
        "12:44: limits.per_day: must be a whole number at least 1",
        f"13:22: errors.stop_after: {THRESHOLD}",
        f"14:25: reconcile.quarantine: {QUARANTINE}",
        "15:18: expires_in_days: must be a whole number from 1 to 365",
        "16:19: private_metadata: must be a map of keys and values",
        f"17:18: inviter_user_id: {ONLY_FOR_ORGANIZATIONS}",
        "18:16: template_slug: must be one of invitation, waitlist_invitation; did you mean waitlist_invitation?",
        "19:15: redirect_url: must be a full URL; begin with https://",
        "20:14: api_version: must be a text; write it in quotes",
    ]


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        (
            "organization: org_1",
            "5:15: role: is missing; an invitation to an organization needs a role; add role: org:member",
        ),
        ('role: "{role}"', '5:7: role: is only for organizations; add organization: "{org_id}", or remove it'),
        ("role: 5", "5:7: role: must be a text; write it in quotes"),
        (
            'organization: "{o}"\nrole: org:admin\ntemplate_slug: invitation',
            "7:16: template_slug: is not for invitations to organizations; remove it",
        ),
        (
            'organization: "{o?}"\nrole: org:admin',
            "5:15: organization: cannot be left out; drop the question mark",
        ),
        ("private_metadata: {a: 1}", f"5:19: private_metadata: {ONLY_FOR_ORGANIZATIONS}"),
        ("emailAddress: x", "5:1: emailAddress: is not a key here; did you mean email?"),
        ("organization-id: x", "5:1: organization-id: is not a key here; did you mean organization?"),
        ("stopAfter: 5%", "5:1: stopAfter: is not a key here; did you mean errors.stop_after?"),
        ("zzz: 1", "5:1: zzz: is not a key here"),
        ("limits: 5", "5:9: limits: must be a map of keys and values"),
        ("limits: [1]", "5:9: limits: must be a map of keys and values"),
        ("limits: {share: true}", "5:17: limits.share: must be a number above 0 and at most 1"),
        ("limits: {per_hour: 1.5}", "5:20: limits.per_hour: must be a whole number at least 1"),
        ("limits: {early_release: 11s}", "5:25: limits.early_release: must be from 0.001s to 10s"),
        (
            "reconcile: {quarantine: 120}",
            "5:25: reconcile.quarantine: must be a duration; write it with its unit, 120s, 2m or 1h",
        ),
        ("errors: {stop_after: 101%}", f"5:22: errors.stop_after: {THRESHOLD}"),
        ("errors: {stop_after: true}", f"5:22: errors.stop_after: {THRESHOLD}"),
        ("lanes: [both]", "5:8: lanes: must be one of both, bulk, single"),
        ("instance: true", "5:11: instance: must be one of development, production"),
        ("notify: {a: b}", f"5:9: notify: must be true or false, {OTHER_TYPE}, {{column:bool}}"),
        (
            'expires_in_days: "{d} days"',
            f"5:18: expires_in_days: must be a whole number from 1 to 365, {OTHER_TYPE}, {{column:int}}",
        ),
        ("redirect_url: http://[", "5:15: redirect_url: must be a full URL; begin with https://"),
        ('public_metadata: "{m:json}"', "5:18: public_metadata: must be a map of keys and values"),
    ],
)
def test_one_fault(tmp_path: Path, added: str, fault: str) -> None:
    assert faults(tmp_path, f"{LEAST}{added}\n") == [fault]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("/etc/passwd", f"3:9: source: {OUTSIDE}"),
        ("a/../../b", f"3:9: source: {OUTSIDE}"),
        ("link/b", f"3:9: source: {OUTSIDE}"),
        ("~/people.csv", "3:9: source: ~ is not expanded; write the path out, relative to the job file"),
        ('"a\\0b"', "3:9: source: is not a path"),
        ('""', "3:9: source: is not a path"),
        ("{csv: ../x}", f"3:15: source.csv: {OUTSIDE}"),
        ("{csv: a, jsonl: b}", "3:9: source: must have one of csv:, jsonl: and json:, the path of the file"),
        ("{delimiter: ;}", "3:9: source: must have one of csv:, jsonl: and json:, the path of the file"),
        ("5", "3:9: source: must be a path, or a map with csv:, jsonl: or json:"),
        ("[a.csv]", "3:9: source: must be a path, or a map with csv:, jsonl: or json:"),
        ("{csv: a, delimiter: ;;}", "3:29: source.delimiter: must be one character"),
        ("{csv: a, delimeter: ;}", "3:18: source.delimeter: is not a key here; did you mean delimiter?"),
        (
            "{csv: a, encoding: utf8x}",
            "3:28: source.encoding: 'utf8x' is not an encoding that can be read; did you mean utf-8?",
        ),
        ("{jsonl: a, delimiter: ;}", "3:20: source.delimiter: is not a key here"),
    ],
)
def test_a_source_that_cannot_be(tmp_path: Path, source: str, fault: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path.parent)
    assert faults(tmp_path, LEAST.replace("people.csv", source)) == [fault]


def test_an_email_that_names_no_column_is_refused(tmp_path: Path) -> None:
    assert faults(tmp_path, LEAST.replace('"{email}"', "email")) == [
        (
            "4:8: email: names no column, so every row would have the same address; "
            'write the column in braces and quotes, "{email}"'
        )
    ]


def test_missing_keys_are_told_where_the_map_begins(tmp_path: Path) -> None:
    assert faults(tmp_path, "# nothing but the kind\nkind: invite\n") == [
        "2:1: name: is missing",
        "2:1: source: is missing",
        "2:1: email: is missing",
    ]


def test_a_mistyped_key_is_told_once_and_not_missed_besides(tmp_path: Path) -> None:
    text = LEAST.replace("email:", "e_mail:") + "organisation: org_1\nrole: org:member\n"
    assert faults(tmp_path, text) == [
        "4:1: e_mail: is not a key here; did you mean email?",
        "5:1: organisation: is not a key here; did you mean organization?",
    ]


def test_without_a_kind_the_common_keys_are_checked(tmp_path: Path) -> None:
    assert faults(tmp_path, "kind: invites\nlimits: {share: 2}\nwhatever: 1\n") == [
        "1:1: name: is missing",
        "1:7: kind: must be one of invite, export, metadata, operation, create-users; did you mean invite?",
        "2:17: limits.share: must be a number above 0 and at most 1",
    ]
    assert faults(tmp_path, "name: a\n") == ["1:1: kind: is missing; write kind: invite"]
    assert faults(tmp_path, "name: a\nkind: [invite]\n") == [
        "2:7: kind: must be one of invite, export, metadata, operation, create-users"
    ]
    assert faults(tmp_path, "name: a\nkind: !!str invite\n") == [
        "2:7: kind: tags are not allowed; texts are written in quotes"
    ]


def test_a_fault_is_a_value_with_its_parts(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(f"{LEAST}limts: 1\n")
    with pytest.raises(JobFileError) as caught:
        load_job(file)
    expected = Fault(str(file), 5, 1, "limts", "is not a key here", "did you mean limits?")
    assert caught.value.faults == (expected,)


def test_very_many_faults_are_counted(tmp_path: Path) -> None:
    text = LEAST + "".join(f"zz{number}: 1\n" for number in range(60))
    lines = faults(tmp_path, text)
    assert len(lines) == 51
    assert lines[-1] == "... and 10 more"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(JobFileError, match=r"none\.yaml: cannot be read: no such file or directory$"):
        load_job(tmp_path / "none.yaml")
    with pytest.raises(JobFileError, match="cannot be read: is a directory"):
        load_job(tmp_path)


def test_a_pipe_is_no_job_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "job.yaml")
    with pytest.raises(JobFileError, match="is not a regular file"):
        load_job(tmp_path / "job.yaml")


def test_a_job_file_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    with file.open("wb") as opened:
        opened.truncate(100 * MAX_JOB_FILE)
    with pytest.raises(JobFileError, match="is larger than 1 MB; put the rows into a source file"):
        load_job(file)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"name: caf\xe9\n", "1:10: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"a: 1\nname: \xff\n", "2:7: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("name: a\n".encode("utf-16"), "1:1: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"", "1:1: is empty; a job file begins with name: and kind:"),
        (b"# a comment\n", "1:1: is empty; a job file begins with name: and kind:"),
        (b"---\n...\n", "2:1: must be a map of keys and values; begin with name: and kind:"),
        (b"- name: a\n", "1:1: must be a map of keys and values; begin with name: and kind:"),
        (b"just text\n", "1:1: must be a map of keys and values; begin with name: and kind:"),
    ],
)
def test_a_file_that_is_no_job_file(tmp_path: Path, data: bytes, fault: str) -> None:
    assert faults(tmp_path, data) == [fault]
