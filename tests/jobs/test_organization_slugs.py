"""Organizations whose creation got no answer: found by their slugs, which are unique."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clerk_jobs.call import Call, Item, Problem, Reply, State, Talk
from clerk_jobs.jobfile import OperationJob, load_job
from clerk_jobs.operation.work import OperationWork

SINCE_MS = 1_000_000
JOB = 'name: o\nkind: operation\noperation: CreateOrganization\nsource: o.csv\nbody: {name: "{n}", slug: "{n}"}\n'


@pytest.fixture
def work(tmp_path: Path) -> OperationWork:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    job = load_job(path)
    assert isinstance(job, OperationJob)
    return OperationWork(job, 4)


def item(seq: int, slug: str | None, **body: Any) -> Item:
    return Item(seq, {"path": {}, "query": {}, "body": {"name": "x", "slug": slug, **body}}, since_ms=SINCE_MS)


def talk_through(talk: Talk[Any], answer: Callable[[Call], Reply]) -> tuple[Any, list[str]]:
    asked: list[str] = []
    try:
        call = next(talk)
        while True:
            asked.append(call.path)
            call = talk.send(answer(call))
    except StopIteration as end:
        return end.value, asked


def organizations(*listed: str, **created_ms: int) -> Callable[[Call], Reply]:
    """Clerk with these slugs; its list shows ``listed`` alone."""

    def one(slug: str) -> dict[str, Any]:
        return {"id": f"org_{slug}", "slug": slug, "created_at": created_ms[slug]}

    def answer(call: Call) -> Reply:
        if call.path == "/organizations":
            return Reply(200, {"data": [one(slug) for slug in listed], "total_count": len(created_ms)})
        slug = call.path.rpartition("/")[2]
        return Reply(200, one(slug)) if slug in created_ms else Reply(404)

    return answer


def test_one_list_finds_most_of_them_and_the_others_are_asked_for_twice(work: OperationWork) -> None:
    items = [item(1, "made"), item(2, "absent"), item(3, "unlisted"), item(4, "old"), item(5, None)]
    items.append(item(6, "made", created_at="2020-01-01T00:00:00Z"))
    clerk = organizations("made", "old", made=SINCE_MS, unlisted=SINCE_MS - 4_000, old=SINCE_MS - 6_000)
    outcomes, asked = talk_through(work.reconcile(items, 1), clerk)
    assert [(one.seq, one.state.name, one.resource_id) for one in outcomes] == [
        (1, "DONE", "org_made"),
        (2, "PENDING", None),
        (3, "DONE", "org_unlisted"),
        # Clerk will refuse it: somebody else had the slug before.
        (4, "PENDING", None),
        (5, "UNRESOLVED", None),
        (6, "UNRESOLVED", None),
    ]
    assert asked == ["/organizations", "/organizations/absent", "/organizations/absent", "/organizations/unlisted"]


def test_a_refusal_after_a_lost_answer_may_be_for_our_own_organization(work: OperationWork) -> None:
    (lane,) = work.lanes
    taken = Reply(422, None, (Problem("form_identifier_exists", "taken"),))
    doubtful = item(1, "made")
    assert work.settle(lane, [doubtful], taken) is None
    for created_ms, state in ((SINCE_MS, State.DONE), (1, State.FAILED)):
        clerk = organizations(made=created_ms)
        ((outcome,), _) = talk_through(work.after_refusal([doubtful], SINCE_MS, taken), clerk)
        assert outcome.state is state
    # Without a lost answer it is somebody else's.
    settled = work.settle(lane, [Item(1, doubtful.payload)], taken)
    assert settled is not None
    assert settled[0].code == "form_identifier_exists"
