"""Loading a good job file: what the job then says."""

from __future__ import annotations

from pathlib import Path

import pytest

from clerk_jobs.jobfile import Errors, InviteJob, Job, Limits, Reconcile, Seconds, StopAfter, load_job
from clerk_jobs.rows import CsvSource, JsonlSource, Source
from clerk_jobs.template import compile_value

LEAST = 'name: beta\nkind: invite\nsource: people.csv\nemail: "{email}"\n'
FULL = """\
name: beta-invites
kind: invite
instance: production
source: {csv: people.csv, delimiter: ";", quotechar: "'", encoding: windows-1252}
email: "{email}"
organization: "{org_id}"
role: org:member
public_metadata: {cohort: "{cohort}", seats: "{seats:int}", tags: [a, "{tag?}"]}
private_metadata: {since: 2026-05-12, country: NO, code: 012, at: 12:30}
redirect_url: https://example.com/welcome?from={cohort}
notify: "{notify:bool}"
expires_in_days: 30
inviter_user_id: user_1
on_existing: reinvite
lanes: single
limits: {share: 0.5, quota_share: 1, per_hour: 50, per_day: 500, early_release: 250ms}
errors: {stop_after: 5%}
reconcile: {quarantine: 2m}
api_version: 2025-11-10
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def load(folder: Path, text: str, *overrides: tuple[str, str], allow_outside: bool = False) -> InviteJob:
    file = folder / "job.yaml"
    file.write_text(text)
    job = load_job(file, overrides, allow_outside=allow_outside)
    assert isinstance(job, InviteJob)
    return job


def test_the_least_job_has_the_documented_defaults(folder: Path) -> None:
    job = load(folder, LEAST)
    assert (job.kind, job.name, job.instance, job.api_version) == ("invite", "beta", None, "2026-05-12")
    assert (job.on_existing, job.lanes) == ("skip", "both")
    assert job.limits == Limits(share=None, quota_share=0.9, per_hour=None, per_day=None, early_release=None)
    assert job.errors == Errors(stop_after=StopAfter(share=0.2))
    assert job.reconcile == Reconcile()
    assert job.reconcile.quarantine == 120.0
    assert job.notify.render({}) is True
    assert job.folder == folder
    assert job.source == CsvSource(csv="people.csv")
    absent = (job.organization, job.role, job.public_metadata, job.private_metadata, job.redirect_url)
    assert absent == (None,) * 5


def test_a_full_job_is_read_as_it_was_written(folder: Path) -> None:
    job = load(folder, FULL)
    assert job.source == CsvSource("people.csv", delimiter=";", quotechar="'", encoding="windows-1252")
    expected = Limits(share=0.5, quota_share=1.0, per_hour=50, per_day=500, early_release=Seconds(0.25))
    assert job.limits == expected
    assert job.errors.stop_after == StopAfter(share=0.05)
    assert job.reconcile.quarantine == 120.0
    row = {"email": "a@b.c", "org_id": "org_1", "cohort": "x", "seats": "3", "tag": "", "notify": "no"}
    rendered = {key: template.render(row) for key, template in job.templates().items()}
    assert rendered == {
        "email": "a@b.c",
        "organization": "org_1",
        "role": "org:member",
        "public_metadata": {"cohort": "x", "seats": 3, "tags": ["a"]},
        "private_metadata": {"since": "2026-05-12", "country": "NO", "code": "012", "at": "12:30"},
        "redirect_url": "https://example.com/welcome?from=x",
        "notify": False,
        "expires_in_days": 30,
        "inviter_user_id": "user_1",
    }


def test_columns_are_named_with_the_key_that_needs_them(folder: Path) -> None:
    assert load(folder, FULL).columns() == {
        "email": "email",
        "org_id": "organization",
        "cohort": "public_metadata",
        "seats": "public_metadata",
        "tag": "public_metadata",
        "notify": "notify",
    }


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("people.csv", CsvSource("people.csv")),
        ("people.txt", CsvSource("people.txt")),
        ("lists/people.tsv", CsvSource("lists/people.tsv", delimiter="\t")),
        ("people.ndjson", JsonlSource("people.ndjson")),
        ("people.JSONL", JsonlSource("people.JSONL")),
        ('"-"', CsvSource("-")),
        ("{jsonl: people.txt}", JsonlSource("people.txt")),
        ('{jsonl: "-", encoding: utf-16}', JsonlSource("-", encoding="utf-16")),
    ],
)
def test_a_source_has_a_short_and_a_long_form(folder: Path, written: str, source: Source) -> None:
    assert load(folder, LEAST.replace("people.csv", written)).source == source


@pytest.mark.parametrize(
    ("written", "seconds"), [("120s", 120), ("2m", 120), ("1.5 h", 5400), ("80s", 80), ("1d", 86400)]
)
def test_durations_have_units(folder: Path, written: str, seconds: float) -> None:
    assert load(folder, f"{LEAST}reconcile: {{quarantine: {written}}}\n").reconcile.quarantine == seconds


@pytest.mark.parametrize(
    ("written", "threshold"),
    [("50", StopAfter(count=50)), ("5%", StopAfter(share=0.05)), ("0.5 %", StopAfter(share=0.005))],
)
def test_a_threshold_is_a_count_or_a_share(folder: Path, written: str, threshold: StopAfter) -> None:
    assert load(folder, f"{LEAST}errors: {{stop_after: {written}}}\n").errors.stop_after == threshold


@pytest.mark.parametrize(
    ("threshold", "failed", "settled", "reached"),
    [
        (StopAfter(count=1), 0, 10_000, False),
        (StopAfter(count=1), 1, 1, True),
        (StopAfter(share=0.2), 99, 99, False),
        (StopAfter(share=0.2), 49, 100, False),
        (StopAfter(share=0.2), 50, 100, True),
        (StopAfter(share=0.2), 199, 1000, False),
        (StopAfter(share=0.2), 200, 1000, True),
        (StopAfter(share=0.01), 49, 4000, False),
        (StopAfter(share=0.01), 50, 4000, True),
    ],
)
def test_a_share_is_judged_from_100_items_and_50_failures_on(
    threshold: StopAfter, failed: int, settled: int, reached: bool
) -> None:
    assert threshold.reached(failed, settled) is reached


def test_a_section_may_be_empty_and_an_option_null(folder: Path) -> None:
    job = load(folder, f"{LEAST}limits:\n#  share: 0.5\nerrors: {{}}\nrole: ~\ninstance:\n")
    assert (job.limits, job.errors, job.role, job.instance) == (Limits(), Errors(), None, None)


def test_paths_may_lead_outside_where_the_user_says_so(folder: Path) -> None:
    job = load(folder, LEAST.replace("people.csv", "../people.csv"), allow_outside=True)
    assert job.source == CsvSource("../people.csv")


def test_a_link_inside_of_the_folder_is_followed(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "link").symlink_to("data")
    assert load(folder, LEAST.replace("people.csv", "link/../data/people.csv")).source.path


def test_a_byte_order_mark_is_no_part_of_the_file(folder: Path) -> None:
    file = folder / "job.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + LEAST.encode())
    assert load_job(file).name == "beta"


def test_a_job_file_may_be_json(folder: Path) -> None:
    head = '{"name": "beta", "kind": "invite", "source": "people.csv", "email": "{email}"'
    job = load(folder, head + ', "redirect_url": "app:\\ud83d\\ude00"}')
    assert job.redirect_url is not None
    assert job.redirect_url.source == "app:😀"


def identity(folder: Path, text: str, *overrides: tuple[str, str]) -> bytes:
    return load(folder, text, *overrides).effects_identity()


def test_the_identity_is_that_of_the_effects(folder: Path) -> None:
    same = identity(folder, LEAST)
    assert same == (
        b'{"api_version":"2026-05-12","email":"{email}","expires_in_days":null,"inviter_user_id":null,'
        b'"kind":"invite","notify":true,"on_existing":"skip","organization":null,"private_metadata":null,'
        b'"public_metadata":null,"redirect_url":null,"role":null,'
        b'"source":{"columns":null,"csv":"people.csv","delimiter":null,"encoding":null,"quotechar":"\\""},"template_slug":null}'
    )


@pytest.mark.parametrize(
    "change",
    [
        ("name", "other"),
        ("instance", "development"),
        ("lanes", "bulk"),
        ("limits.share", "0.1"),
        ("errors.stop_after", "1"),
        ("reconcile.quarantine", "300s"),
        ("notify", "true"),
        ("on_existing", "skip"),
        ("email", "{ email }"),
    ],
)
def test_manners_and_written_out_defaults_are_no_part_of_the_identity(folder: Path, change: tuple[str, str]) -> None:
    assert identity(folder, LEAST, change) == identity(folder, LEAST)


@pytest.mark.parametrize(
    "change",
    [
        ("email", "{mail}"),
        ("source", "others.csv"),
        ("on_existing", "fail"),
        ("notify", "false"),
        ("public_metadata.a", "1"),
        ("expires_in_days", "30"),
        ("api_version", "2025-11-10"),
    ],
)
def test_what_changes_the_effects_changes_the_identity(folder: Path, change: tuple[str, str]) -> None:
    assert identity(folder, LEAST, change) != identity(folder, LEAST)


def test_types_are_a_part_of_the_identity(folder: Path) -> None:
    written = ["1", "1.0", "true", '"1"']
    assert len({identity(folder, LEAST, ("public_metadata.a", value)) for value in written}) == 4


def test_the_order_of_keys_is_no_part_of_the_identity(folder: Path) -> None:
    there = identity(folder, f"{LEAST}public_metadata: {{a: 1, b: {{c: 2, d: 3}}}}\n")
    back = identity(folder, f"public_metadata: {{b: {{d: 3, c: 2}}, a: 1}}\n{LEAST}")
    assert there == back


def test_a_job_is_a_value(folder: Path) -> None:
    job: Job = load(folder, FULL)
    assert job == load(folder, FULL)
    assert job.errors.stop_after == StopAfter(share=0.05)
    assert len({StopAfter(count=5), StopAfter(count=5), StopAfter(share=0.05)}) == 2
    assert repr(StopAfter(count=5)) == "StopAfter(count=5)"
    assert job.templates()["email"] != compile_value("{email}")
