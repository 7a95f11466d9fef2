"""Invitation jobs end to end: the command line as a process, against the simulator as another."""

from __future__ import annotations

import csv
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk

JOB = """\
name: beta
kind: invite
source: people.csv
email: "{email}"
public_metadata: {cohort: "{cohort}"}
"""

SENT = 22 * 10 + 90 - 5
"""What a cold hour carries at the default share: both quotas, without the reserve of five for re-sends."""

ORGANIZATION_JOB = """\
name: team
kind: invite
source: team.csv
email: "{email}"
organization: "{org}"
role: org:member
"""


def people(count: int, domain: str = "example.com") -> list[str]:
    return [f"person{number}@{domain}" for number in range(count)]


def prepare(workplace: Workplace, addresses: list[str], job: str = JOB) -> None:
    write_people(workplace.folder / "people.csv", addresses)
    workplace.write("job.yaml", job)


def invite(workplace: Workplace, *more: str, stdin: str | None = None) -> Ended:
    return workplace.run("run", "job.yaml", "--yes", "--json", *more, stdin=stdin)


def items(ended: Ended) -> dict[str, int]:
    assert ended.out, ended.err
    return {word: count for word, count in ended.json["items"].items() if count}


def effects(clerk: SimulatedClerk, operation: str = "CreateInvitation") -> dict[str, int]:
    return {key: len(times) for key, times in clerk.effects(operation).items()}


def once_each(addresses: list[str]) -> dict[str, int]:
    return dict.fromkeys(addresses, 1)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_everybody_is_invited_and_every_row_has_its_line(start: Any) -> None:
    workplace, clerk = start()
    prepare(workplace, people(45))
    ended = invite(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 45, "done": 45})
    assert ended.json["state"] == "done"
    assert effects(clerk) == once_each(people(45))
    run = workplace.only_run()
    results = read_csv(run / "results.csv")
    assert [int(row["row"]) for row in results] == list(range(1, 46))
    assert {row["status"] for row in results} == {"done"}
    assert len({row["id"] for row in results}) == 45
    assert read_csv(run / "failed.csv") == []
    report = clerk.report()
    assert report["throttled"] == 0
    # Both lanes carried some: 45 in bulk calls alone would be five, and alone 45.
    assert report["requests"]["POST /invitations"]
    assert report["requests"]["POST /invitations/bulk"]


def test_files_are_for_the_user_alone_and_hold_no_address_or_key(start: Any) -> None:
    workplace, clerk = start()
    prepare(workplace, people(12))
    invite(workplace)
    run = workplace.only_run()
    assert {oct(path.stat().st_mode & 0o777) for path in (workplace.state, run.parent, run)} == {"0o700"}
    for path in run.iterdir():
        assert oct(path.stat().st_mode & 0o777) == "0o600", path
        content = path.read_bytes()
        assert clerk.key.encode() not in content, path
        assert b"@example.com" not in content, path


def test_the_same_command_again_does_nothing_and_says_so(start: Any) -> None:
    workplace, clerk = start()
    prepare(workplace, people(12))
    first = invite(workplace)
    before = clerk.report()["effects"]
    second = invite(workplace)
    assert second.json == {**first.json, "repeated": True}
    assert second.code == first.code
    assert clerk.report()["effects"] == before
    fresh = invite(workplace, "--fresh")
    assert items(fresh) == {"total": 12, "skipped": 12}
    assert clerk.report()["effects"] == before


def test_a_longer_file_invites_only_whom_it_adds(start: Any) -> None:
    workplace, clerk = start()
    prepare(workplace, people(12))
    invite(workplace)
    prepare(workplace, people(20))
    ended = invite(workplace)
    assert items(ended) == {"total": 20, "done": 8, "skipped": 12}
    assert effects(clerk) == once_each(people(20))


def test_a_dropped_answer_is_looked_up_and_never_sent_again(start: Any) -> None:
    workplace, clerk = start("--fail=POST /invitations*:drop-after-effect:every=3", "--duplicate-lag=1h")
    prepare(workplace, people(60))
    ended = invite(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 60, "done": 60})
    assert effects(clerk) == once_each(people(60))
    assert "reconciled" in {row["code"] for row in read_csv(workplace.only_run() / "results.csv")}


@pytest.mark.parametrize(
    "fault", ["500-after", "503-before", "502-after", "truncated-body", "truncated-json", "html", "drop-before-effect"]
)
def test_whatever_becomes_of_an_answer_everybody_is_invited_once(start: Any, fault: str) -> None:
    workplace, clerk = start(f"--fail=POST /invitations*:{fault}:every=4", "--duplicate-lag=1h")
    prepare(workplace, people(40))
    ended = invite(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 40, "done": 40}), ended.err
    assert effects(clerk) == once_each(people(40))


def test_a_bulk_answer_that_misses_one_of_ten(start: Any) -> None:
    workplace, clerk = start("--fail=POST /invitations/bulk:partial-bulk:first=2", "--duplicate-lag=1h")
    prepare(workplace, people(40))
    ended = invite(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 40, "done": 40})
    assert effects(clerk) == once_each(people(40))


def test_a_429_puts_the_call_back_and_costs_nobody_the_invitation(start: Any) -> None:
    workplace, clerk = start("--fail=POST /invitations:429:retry=1:first=2")
    prepare(workplace, people(12), f"{JOB}lanes: single\n")
    ended = invite(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 12, "done": 12})
    assert effects(clerk) == once_each(people(12))
    assert ended.json["throttled"] == 2


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("skip", {"total": 24, "done": 14, "skipped": 10}),
        ("fail", {"total": 24, "done": 14, "failed": 10}),
        ("reinvite", {"total": 24, "done": 19, "skipped": 5}),
    ],
)
def test_who_is_invited_or_a_user_already(start: Any, policy: str, expected: dict[str, int]) -> None:
    workplace, clerk = start("--users=5", "--invitations=5")
    users = [f"User{number}@Example.com" for number in range(5)]
    invited = [f"invited{number}@EXAMPLE.com" for number in range(5)]
    prepare(workplace, [*users, *people(14), *invited], f"{JOB}on_existing: {policy}\n")
    ended = invite(workplace)
    assert items(ended) == expected
    assert ended.code == (1 if policy == "fail" else 0)
    again = [address.lower() for address in invited] if policy == "reinvite" else []
    assert effects(clerk) == once_each([*people(14), *again])


@pytest.mark.parametrize("bulk", ["all-or-nothing", "partial", "partial-refused"])
def test_a_refused_bulk_call_is_taken_apart(start: Any, bulk: str) -> None:
    workplace, clerk = start(f"--bulk={bulk}", "--latency=300ms")
    addresses = people(40)
    addresses[5:5] = ["late1@example.com", "late2@example.com"]
    prepare(workplace, addresses, f"{JOB}lanes: bulk\n")
    process = workplace.start("run", "job.yaml", "--yes", "--json")
    while not clerk.report()["requests"].get("GET /users"):
        assert process.poll() is None, process.communicate()
    # Screened, and then invited by somebody else before their turn comes.
    for late in ("late1@example.com", "late2@example.com"):
        clerk.perform("POST", "/invitations", {"email_address": late})
    out, err = process.communicate()
    ended = Ended(process.returncode, out, err)
    assert ended.code == 0, err
    # An answer of 200 that leaves two out does not say why: their invitations, seconds old, pass for our own.
    unnamed = bulk == "partial"
    assert items(ended) == ({"total": 42, "done": 42} if unnamed else {"total": 42, "done": 40, "skipped": 2})
    assert effects(clerk) == once_each(people(40))


def test_organizations(start: Any) -> None:
    workplace, clerk = start("--users=20", "--organizations=3", "--members=4")
    listed = clerk.perform("GET", "/organizations?limit=10&order_by=%2Bcreated_at")["data"]
    ids = [one["id"] for one in listed]
    members = clerk.perform("GET", f"/organizations/{ids[0]}/memberships?limit=10")["data"]
    member = members[0]["public_user_data"]["identifier"]
    rows = [f"{member},{ids[0]}", "nobody@example.com,org_unknown"]
    rows += [f"new{number}@example.com,{ids[number % 3]}" for number in range(33)]
    workplace.write("team.csv", "\n".join(["email,org", *rows, ""]))
    workplace.write("job.yaml", ORGANIZATION_JOB)
    ended = invite(workplace)
    assert ended.code == 1, ended.err
    assert items(ended) == {"total": 35, "done": 33, "skipped": 1, "failed": 1}
    found = effects(clerk, "CreateOrganizationInvitation")
    assert found == {f"{ids[number % 3]}:new{number}@example.com": 1 for number in range(33)}
    codes = {row["line"]: row["code"] for row in read_csv(workplace.only_run() / "results.csv")}
    assert codes["2"] == "already_a_member"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_drains_and_the_same_command_goes_on(start: Any, number: signal.Signals, code: int) -> None:
    workplace, clerk = start("--latency=200ms", "--duplicate-lag=1h")
    prepare(workplace, people(60))
    process = workplace.start("run", "job.yaml", "--yes", "--json")
    while not clerk.effects("CreateInvitation"):
        assert process.poll() is None, process.communicate()
    process.send_signal(number)
    out, err = process.communicate()
    ended = Ended(process.returncode, out, err)
    assert (ended.code, ended.json["state"]) == (code, "interrupted"), err
    assert ended.json["items"]["unresolved"] == 0
    assert 0 < ended.json["items"]["pending"] < 60
    results = read_csv(workplace.only_run() / "results.csv")
    assert len(results) == 60
    last = invite(workplace)
    assert (last.code, items(last)) == (0, {"total": 60, "done": 60})
    assert effects(clerk) == once_each(people(60))


def test_two_starts_at_the_same_moment_make_one_run(start: Any) -> None:
    workplace, clerk = start("--latency=100ms")
    prepare(workplace, people(30))
    barrier = threading.Barrier(2)
    ends: list[Ended] = []

    def begin() -> None:
        barrier.wait()
        ends.append(invite(workplace))

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(end.code for end in ends) == [0, 75], [end.err for end in ends]
    held = next(end for end in ends if end.code == 75)
    assert held.json["error"]["code"] == "held"
    workplace.only_run()
    assert effects(clerk) == once_each(people(30))


def test_a_second_start_while_one_runs(start: Any) -> None:
    workplace, clerk = start("--latency=300ms")
    prepare(workplace, people(60))
    process = workplace.start("run", "job.yaml", "--yes", "--json")
    while not clerk.effects("CreateInvitation"):
        assert process.poll() is None, process.communicate()
    # Held where it is: on a busy machine it could be done before the second one has begun.
    process.send_signal(signal.SIGSTOP)
    try:
        assert invite(workplace).code == 75
    finally:
        process.send_signal(signal.SIGCONT)
    process.communicate()
    assert process.returncode == 0
    assert effects(clerk) == once_each(people(60))


def test_rows_from_standard_input(start: Any) -> None:
    workplace, clerk = start()
    workplace.write("job.yaml", JOB.replace("people.csv", '"-"'))
    text = "\n".join(["email,cohort", *(f"{address},c" for address in people(25)), ""])
    ended = invite(workplace, stdin=text)
    assert (ended.code, items(ended)) == (0, {"total": 25, "done": 25}), ended.err
    assert effects(clerk) == once_each(people(25))
    assert invite(workplace, stdin=text).json["repeated"] is True


def test_leaving_early_for_a_quota_and_going_on(start: Any) -> None:
    workplace, clerk = start()
    prepare(workplace, people(400))
    ended = invite(workplace, "--max-wait=5s")
    assert (ended.code, ended.json["state"]) == (5, "waiting"), ended.err
    assert ended.json["next_permit"]
    assert items(ended)["done"] == SENT
    assert clerk.report()["throttled"] == 0
    # The quota of the hour is remembered across the restart: nothing is sent into it.
    again = invite(workplace, "--max-wait=1s")
    assert (again.code, items(again)["done"]) == (5, SENT)
    assert clerk.report()["throttled"] == 0


def test_failures_over_the_threshold_stop_the_run(start: Any) -> None:
    workplace, _ = start("--fail=POST /invitations*:422-before:code=form_param_format_invalid")
    prepare(workplace, people(40), f"{JOB}errors: {{stop_after: 3}}\nlanes: single\n")
    ended = invite(workplace)
    assert (ended.code, ended.json["state"]) == (4, "stopped")
    assert ended.json["error"]["code"] == "threshold"
    assert items(ended) == {"total": 40, "failed": 3, "pending": 37}
    refused = invite(workplace)
    assert refused.code == 4
    assert "resume" in refused.json["error"]["hint"]
    resumed = workplace.run("resume", "last", "--yes", "--json")
    assert (resumed.code, items(resumed)) == (4, {"total": 40, "failed": 6, "pending": 34})


def test_a_changed_file_of_an_unfinished_run_is_refused_and_can_be_accepted(start: Any) -> None:
    workplace, clerk = start()
    prepare(workplace, people(330))
    assert invite(workplace, "--max-wait=5s").code == 5
    prepare(workplace, [*people(330), "another@example.com"])
    refused = invite(workplace, "--max-wait=5s")
    assert refused.code == 2
    assert "input" in refused.json["error"]["message"]
    assert "--accept-changes" in refused.json["error"]["hint"]
    accepted = invite(workplace, "--max-wait=5s", "--accept-changes")
    assert accepted.code == 5, accepted.err
    assert items(accepted) == {"total": 331, "done": SENT, "pending": 331 - SENT}
    assert {address: count for address, count in effects(clerk).items() if count != 1} == {}


def test_an_undo_revokes_what_is_still_pending(start: Any) -> None:
    workplace, clerk = start()
    prepare(workplace, people(12))
    first = invite(workplace)
    assert items(first) == {"total": 12, "done": 12}
    pending = clerk.perform("GET", "/invitations?limit=100&status=pending")
    clerk.perform("POST", f"/invitations/{pending[0]['id']}/revoke")
    undone = workplace.run("undo", "last", "--yes", "--json")
    assert (undone.code, items(undone)) == (0, {"total": 12, "done": 12}), undone.err
    assert undone.json["parent"] == first.json["run"]
    assert clerk.perform("GET", "/invitations?limit=100&status=pending") == []
    assert effects(clerk, "RevokeInvitation") == {one["id"]: 1 for one in pending[1:]}


def test_an_undo_revokes_the_invitations_of_organizations(start: Any) -> None:
    workplace, clerk = start("--organizations=2")
    organizations = [one["id"] for one in clerk.perform("GET", "/organizations?limit=10")["data"]]
    rows = "".join(f"a{number}@example.com,{one}\n" for number, one in enumerate(organizations))
    workplace.write("team.csv", "email,org\n" + rows)
    workplace.write("job.yaml", ORGANIZATION_JOB)
    assert items(invite(workplace)) == {"total": 2, "done": 2}
    undone = workplace.run("undo", "last", "--yes", "--json")
    assert (undone.code, items(undone)) == (0, {"total": 2, "done": 2}), undone.err
    for one in organizations:
        assert clerk.perform("GET", f"/organizations/{one}/invitations?status=pending")["data"] == []
