"""Screening: who is settled by reading alone, and what a refused list does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clerk_jobs.call import Call, Draft, Item, Reply, State
from clerk_jobs.invite import Drafting, Screening
from clerk_jobs.jobfile import InviteJob, load_job
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.errors import AccessError
from clerk_runner.exchange import Exchange
from clerk_runner.journal import Journal, SourceRow
from clerk_runner.logs import silent_log
from clerk_runner.screening import Screener
from clerk_testing.engine_play import START_S, InlineWriter, ScriptedClient
from clerk_testing.model import ModelClerk, refusal


class People:
    """Payloads by number."""

    def items(self, opened: Any) -> list[Item]:
        return [Item(one.seq, {"email_address": f"p{one.seq}@example.com"}, one.group) for one in opened]


def screened(
    folder: Path, clerk: ModelClerk, groups: list[str], policy: Any = "skip"
) -> tuple[dict[int, State], list[Call], dict[int, str | None]]:
    (folder / "job.yaml").write_text('name: s\nkind: invite\nsource: p.csv\nemail: "{e}"\n')
    job = load_job(folder / "job.yaml")
    assert isinstance(job, InviteJob)
    drafting = Drafting(job)

    async def scenario() -> tuple[dict[int, State], list[Call], dict[int, str | None]]:
        clock = VirtualClock(START_S)
        journal = Journal(folder / "run.db", durable=False)
        journal._writer.close()
        journal._writer = InlineWriter(folder / "run.db")
        keys = {seq: drafting.key(f"p{seq}@example.com", group) for seq, group in enumerate(groups, 1)}
        await journal.ingest([SourceRow(n, n, n, Draft(keys[n], b"d", group)) for n, group in enumerate(groups, 1)])
        await journal.seal()
        client: Any = ScriptedClient(clerk, clock)
        gate = Gate(InstanceKind.PRODUCTION, GateOptions(), clock)
        screener = Screener(
            journal=journal,
            exchange=Exchange(client, gate, clock, log=silent_log()),
            screening=Screening(organizations=any(groups), on_existing=policy),
            drafting=drafting,
            payloads=People(),
            log=silent_log(),
            workers=4,
        )
        try:
            await screener.run()
            rows = await journal.read(lambda db: db.execute("SELECT seq, state, revoke FROM item").fetchall())
        finally:
            journal.close()
        found = {seq: State(state) for seq, state, _ in rows}
        return found, [call for _, call in client.seen], {seq: revoke for seq, _, revoke in rows if revoke}

    return run_virtual(scenario())


def test_invited_people_and_users_are_settled(tmp_path: Path) -> None:
    clerk = ModelClerk(users={"p7@example.com": "user_7"})
    for seq in range(1, 1400, 3):
        clerk.add(f"P{seq}@example.com")
    found, calls, _ = screened(tmp_path, clerk, [""] * 1500)
    expected = set(range(1, 1400, 3)) | {7}
    assert {seq for seq, state in found.items() if state is State.SKIPPED} == expected
    assert len(calls) < 40


def test_few_people_are_asked_for_by_name_where_the_list_is_long(tmp_path: Path) -> None:
    clerk = ModelClerk(counted=True)
    for seq in range(1, 3000):
        clerk.add(f"p{seq}@example.com")
    found, calls, revoked = screened(tmp_path, clerk, ["", ""], "reinvite")
    assert set(found.values()) == {State.PENDING}
    assert revoked == {1: "inv_0", 2: "inv_1"}
    assert len(calls) == 4


def test_each_organization_has_its_own_list(tmp_path: Path) -> None:
    clerk = ModelClerk(users={"p4@example.com": "user_4"}, members={("org_b", "user_4")})
    clerk.add("p1@example.com", "org_a")
    clerk.add("p2@example.com", "org_a")
    found, _, _ = screened(tmp_path, clerk, ["org_a", "org_b", "org_a", "org_b"])
    assert [found[seq] for seq in (1, 2, 3, 4)] == [State.SKIPPED, State.PENDING, State.PENDING, State.SKIPPED]


@pytest.mark.parametrize("reply", [refusal(404, "resource_not_found"), Reply(200, {"odd": True}), Reply(200, [{}])])
def test_a_list_that_cannot_be_read_settles_nobody(tmp_path: Path, reply: Reply) -> None:
    clerk = ModelClerk()
    clerk.answer = lambda call: reply  # type: ignore[method-assign]
    found, _, _ = screened(tmp_path, clerk, [""] * 5)
    assert set(found.values()) == {State.PENDING}


def test_a_refused_key_ends_it_with_its_own_error(tmp_path: Path) -> None:
    clerk = ModelClerk()
    clerk.answer = lambda call: refusal(401, "authentication_invalid")  # type: ignore[method-assign]
    with pytest.raises(AccessError):
        screened(tmp_path, clerk, [""] * 5)
