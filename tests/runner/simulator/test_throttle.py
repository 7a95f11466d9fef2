from typing import Any

from clerk_runner.simulator.throttle import Limit, Throttle

SHARED = Limit("instance", 3, 10.0)
HOURLY = Limit("invitation", 2, 3600.0)
EACH = Limit("user", 2, 10.0, ("user_id",))


def throttle(speed: float = 1.0, count_refused: bool = False) -> Throttle:
    return Throttle("strict", speed, count_refused)


def seen(subject: Throttle, name: str) -> Any:
    return subject.report()[name]


def test_a_refusal_tells_the_seconds_until_there_is_room_rounded_up() -> None:
    subject = throttle()
    for now in (0.0, 0.0, 0.5):
        assert subject.admit("a", (SHARED,), {}, now) is None

    assert subject.admit("a", (SHARED,), {}, 2.2) == 8


def test_a_refused_operation_stays_closed_until_its_time_is_over_and_others_go_on() -> None:
    subject = throttle()
    for _ in range(2):
        subject.admit("invite", (SHARED, HOURLY), {}, 0.0)

    assert subject.admit("invite", (SHARED, HOURLY), {}, 0.0) == 3600
    assert subject.admit("invite", (SHARED, HOURLY), {}, 3599.5) == 1
    assert subject.admit("list", (SHARED,), {}, 0.0) is None
    assert subject.admit("invite", (SHARED, HOURLY), {}, 3600.0) is None


def test_asking_while_closed_does_not_keep_it_closed_for_longer() -> None:
    subject = throttle()
    for _ in range(3):
        subject.admit("a", (SHARED,), {}, 0.0)
    told = subject.admit("a", (SHARED,), {}, 0.0)
    for tenth in range(100):
        assert subject.admit("a", (SHARED,), {}, tenth / 10) is not None

    assert told == 10
    assert subject.admit("a", (SHARED,), {}, 10.0) is None


def test_a_request_counts_against_all_of_its_limits_or_against_none() -> None:
    subject = throttle()
    for _ in range(2):
        subject.admit("invite", (SHARED, HOURLY), {}, 0.0)
    subject.admit("invite", (SHARED, HOURLY), {}, 0.0)

    assert subject.admit("list", (SHARED,), {}, 0.0) is None, "the refused one took no room"
    assert subject.admit("list", (SHARED,), {}, 0.0) == 10


def test_refused_requests_count_when_that_is_asked_for() -> None:
    subject = throttle(count_refused=True)
    for _ in range(2):
        subject.admit("invite", (SHARED, HOURLY), {}, 0.0)
    subject.admit("invite", (SHARED, HOURLY), {}, 0.0)

    assert subject.admit("list", (SHARED,), {}, 0.0) == 10


def test_a_subject_has_a_window_of_its_own() -> None:
    subject = throttle()
    for _ in range(2):
        assert subject.admit("patch", (EACH,), {"user_id": "one"}, 0.0) is None

    assert subject.admit("patch", (EACH,), {"user_id": "one"}, 0.0) == 10
    assert subject.admit("patch", (EACH,), {"user_id": "two"}, 0.0) is None


def test_speed_divides_the_periods() -> None:
    subject = throttle(speed=3600.0)
    for _ in range(2):
        subject.admit("invite", (HOURLY,), {}, 0.0)

    assert subject.admit("invite", (HOURLY,), {}, 0.0) == 1, "Retry-After is in whole real seconds"
    assert subject.admit("invite", (HOURLY,), {}, 1.0) is None


def test_the_report_shows_the_worst_window_refused_arrivals_among_them() -> None:
    subject = throttle()
    for _ in range(5):
        subject.admit("a", (SHARED,), {}, 0.0)

    assert seen(subject, "instance") == {"limit": 3, "period_s": 10.0, "worst_window": 5, "refused": 2}


def test_idle_subjects_are_forgotten_but_not_their_worst_window() -> None:
    subject = throttle()
    for _ in range(2):
        subject.admit("patch", (EACH,), {"user_id": "first"}, 0.0)
    for number in range(1000):
        subject.admit("patch", (EACH,), {"user_id": str(number)}, 100.0 + 20 * number)

    gauge: Any = subject._gauges["user"]
    assert len(gauge._subjects) <= 2
    assert seen(subject, "user")["worst_window"] == 2


def test_what_is_open_again_is_forgotten() -> None:
    subject = throttle()
    for number in range(3000):
        subject.close("patch", 1.0, 10.0 * number, (str(number),))

    assert len(subject._closed_until_s) <= 1001


def test_a_limit_that_nothing_met_is_not_reported() -> None:
    assert throttle().report() == {}
