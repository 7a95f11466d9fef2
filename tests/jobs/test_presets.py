"""Presets: what an export of another system becomes, and what a preset of one's own may say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from clerk_jobs.create_users.drafts import CreateDrafting
from clerk_jobs.errors import JobFileError
from clerk_jobs.jobfile import CreateUsersJob, load_job
from clerk_jobs.jobfile.presets import PRESETS
from clerk_jobs.rows import Row, open_rows

IMPORTS = Path(__file__).resolve().parents[2] / "examples" / "imports"
FOLDER = Path(__file__).resolve().parents[2] / "jobs" / "clerk_jobs" / "presets"
OWN = 'about: mine\nvalues: {pepper: where it is}\nfields:\n  email_address: "{mail}"\n  external_id: "<pepper>-{n}"\n'
JOB = "name: i\nkind: create-users\nsource: rows.csv\npreset: ./mine.yaml\n"


def loaded(path: Path) -> CreateUsersJob:
    job = load_job(path)
    assert isinstance(job, CreateUsersJob)
    return job


def faults(path: Path) -> str:
    with pytest.raises(JobFileError) as caught:
        load_job(path)
    return str(caught.value)


def test_every_preset_has_an_example_and_names_its_source() -> None:
    assert {"auth0", "authjs", "clerk", "cognito", "firebase", "supabase"} <= set(PRESETS)
    assert {path.name for path in IMPORTS.iterdir() if path.is_dir()} == set(PRESETS)
    for name in PRESETS:
        assert re.search(r"^shape: https://\S+$", (FOLDER / f"{name}.yaml").read_text(), re.MULTILINE), name


@pytest.mark.parametrize("preset", PRESETS)
def test_an_export_becomes_what_its_example_says(preset: str) -> None:
    folder = IMPORTS / preset
    job = loaded(folder / "job.yaml")
    drafting = CreateDrafting(job)
    expected = [json.loads(line) for line in (folder / "becomes.jsonl").read_text(encoding="utf-8").splitlines()]
    with open_rows(job.source, job.folder) as rows:
        rows.require(job.columns())
        read = [row for row in rows if isinstance(row, Row)]
    assert len(read) == 5
    for row, wanted in zip(read, expected, strict=True):
        drafting.draft(row.values)
        assert drafting.payload(row.values)[1] == wanted


def test_the_columns_that_firebase_leaves_out_of_its_csv_are_named_in_the_preset(tmp_path: Path) -> None:
    text = (FOLDER / "firebase.yaml").read_text(encoding="utf-8")
    source = "".join(f"{line[4:]}\n" for line in text.splitlines() if line.startswith("#  "))
    values = "preset_values: {signer_key: a2V5, salt_separator: Bw==, rounds: 8, mem_cost: 14}\n"
    (tmp_path / "job.yaml").write_text(f"name: i\nkind: create-users\npreset: firebase\n{values}{source}")
    cells = ["u1", "ada@example.com", "true", "aGFzaA==", "c2FsdA==", "Ada Lovelace", *[""] * 17, "1609459200000"]
    (tmp_path / "users.csv").write_text(",".join([*cells, "1704067200000", "", "false", "", "[]"]) + "\n")
    job = loaded(tmp_path / "job.yaml")
    with open_rows(job.source, job.folder) as rows:
        rows.require(job.columns())
        (row,) = rows
    assert isinstance(row, Row)
    body = CreateDrafting(job).payload(row.values)[1]
    assert body["password_digest"] == "aGFzaA==$c2FsdA==$a2V5$Bw==$8$14"
    assert (body["last_name"], body["created_at"]) == ("Lovelace", "2021-01-01T00:00:00.000Z")


def test_a_job_says_more_than_its_preset_and_null_leaves_a_field_out(tmp_path: Path) -> None:
    text = "name: i\nkind: create-users\nsource: u.jsonl\npreset: firebase\n"
    (tmp_path / "job.yaml").write_text(f'{text}password_digest: null\npassword_hasher: null\nfirst_name: "{{n}}"\n')
    fields = loaded(tmp_path / "job.yaml").fields()
    assert "password_digest" not in fields
    assert (fields["first_name"].source, fields["last_name"].source) == ("{n}", "{displayName:rest?}")
    (tmp_path / "job.yaml").write_text(text)
    said = faults(tmp_path / "job.yaml")
    assert "preset_values.signer_key: is missing, and this preset needs it; base64_signer_key of" in said


def test_a_preset_of_ones_own(tmp_path: Path) -> None:
    job, mine = tmp_path / "job.yaml", tmp_path / "mine.yaml"
    mine.write_text(OWN)
    job.write_text(JOB + "preset_values: {pepper: 'a{b}'}\n")
    assert loaded(job).fields()["external_id"].render({"n": "7", "mail": "x"}) == "a{b}-7"


@pytest.mark.parametrize(
    ("job", "preset", "said"),
    [
        (JOB.replace("./mine.yaml", "firebse"), OWN, "did you mean firebase?"),
        (JOB.replace("./mine.yaml", "../mine.yaml"), OWN, "is outside the job file's folder"),
        (JOB.replace("./mine.yaml", "./other.yaml"), OWN, "cannot be read"),
        (JOB + "preset_values: {peper: 1}\n", OWN, "preset_values.peper: is not a key here; did you mean pepper?"),
        (JOB, "- a\n", "is not a preset"),
        (JOB, "field: {}\n", "mine.yaml:1:1: field: is not a key of a preset; did you mean fields?"),
        (JOB, "fields: [a]\n", "mine.yaml:1:9: fields: must be a map"),
        (JOB, "fields: {email: '{mail}'}\n", "mine.yaml:1:10: email: is not a key here; did you mean email_address?"),
        (JOB, "fields: {a: 1, a: 2}\n", "mine.yaml:1:16"),
        (JOB.replace("./mine.yaml", "[a]"), OWN, "preset: must be a text"),
    ],
)
def test_what_is_wrong_with_a_preset_is_said_with_its_place(tmp_path: Path, job: str, preset: str, said: str) -> None:
    (tmp_path / "job.yaml").write_text(job)
    (tmp_path / "mine.yaml").write_text(preset)
    assert said in faults(tmp_path / "job.yaml")
