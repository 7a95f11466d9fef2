import pytest

from clerk_runner.simulator.faults import Fault, FaultBook
from clerk_runner.simulator.latency import Latency


def fates(book: FaultBook, count: int, method: str = "POST", path: str = "/invitations") -> list[bool]:
    return [book.choose(method, path) is not None for _ in range(count)]


def book(*texts: str, seed: int = 0) -> FaultBook:
    return FaultBook(tuple(Fault.parse(text) for text in texts), seed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "POST /invitations:drop-after-effect:2%",
            {"method": "POST", "path": "/invitations", "kind": "drop-after-effect", "share": 0.02},
        ),
        ("* *:503", {"method": "*", "path": "*", "kind": "status-before", "status": 503, "share": 1.0}),
        ("get /users:500-after", {"method": "GET", "kind": "status-after", "status": 500}),
        ("GET /users:429:retry=3", {"kind": "status-before", "status": 429, "retry_after": "3"}),
        ("GET /users:429", {"status": 429, "retry_after": "1"}),
        ("GET /users:429:retry=", {"status": 429, "retry_after": None}),
        ("PATCH /users/*:409:code=resource_locked:first=2", {"code": "resource_locked", "first": 2}),
        ("POST /x:timeout:every=10:skip=5", {"kind": "timeout", "every": 10, "skip": 5}),
        ("POST /x:timeout-after", {"kind": "timeout"}),
        ("GET /users/count:slow:by=5s", {"kind": "slow", "by": Latency("constant", 5.0, 5.0)}),
        ("GET /users/count:slow:by=0.7-1.4s", {"kind": "slow", "by": Latency("uniform", 0.7, 1.4)}),
    ],
)
def test_a_fault_is_read(text: str, expected: dict[str, object]) -> None:
    fault = Fault.parse(text)

    assert {name: getattr(fault, name) for name in expected} == expected
    assert fault.text == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("POST /x", "kind of fault"),
        ("POST:503", "method and a path"),
        ("FETCH /x:503", "method and a path"),
        ("POST /x:explode", "no fault is called 'explode'"),
        ("POST /x:200", "no fault is called '200'"),
        ("POST /x:503:0%", "share"),
        ("POST /x:503:120%", "share"),
        ("POST /x:503:every=x", "not an option"),
        ("POST /x:503:often", "not an option"),
        ("POST /x:503:some%", "could not convert"),
        ("POST /x:slow:by=soon", "not a duration"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Fault.parse(text)


def test_the_same_seed_gives_the_same_fates() -> None:
    first, again = (fates(book("POST /invitations:503:20%", seed=7), 500) for _ in range(2))

    assert first == again
    assert 70 < sum(first) < 130
    assert first != fates(book("POST /invitations:503:20%", seed=8), 500)


def test_other_requests_and_other_faults_do_not_change_a_fate() -> None:
    alone = fates(book("POST /invitations:503:20%"), 100)
    beside = book("POST /invitations:503:20%", "GET *:500:50%")
    mixed = []
    for _ in range(100):
        beside.choose("GET", "/users")
        mixed.append(beside.choose("POST", "/invitations") is not None)

    assert mixed == alone


def test_every_first_and_skip() -> None:
    assert fates(book("POST *:503:every=3"), 7) == [False, False, True, False, False, True, False]
    assert fates(book("POST *:503:first=2"), 4) == [True, True, False, False]
    assert fates(book("POST *:503:skip=2:first=1"), 4) == [False, False, True, False]


@pytest.mark.parametrize(
    ("pattern", "method", "path", "falls"),
    [
        ("POST /invitations", "POST", "/invitations", True),
        ("POST /invitations", "POST", "/invitations/bulk", False),
        ("POST /invitations*", "POST", "/invitations/bulk", True),
        ("POST /invitations", "GET", "/invitations", False),
        ("* /users/*/metadata", "PUT", "/users/user_1/metadata", True),
        ("GET *", "GET", "/anything/at/all", True),
    ],
)
def test_patterns(pattern: str, method: str, path: str, falls: bool) -> None:
    assert fates(book(f"{pattern}:503"), 1, method, path) == [falls]


def test_the_first_of_two_faults_falls_and_both_count() -> None:
    both = book("POST *:503:every=2", "POST *:500:first=2")
    chosen = [both.choose("POST", "/x") for _ in range(3)]

    assert [fault and fault.status for fault in chosen] == [500, 503, None]
