"""Virtual time: exact, instant, patient with threads, and loud about a deadlock."""

import asyncio
import threading
import time
from functools import partial

import pytest

from clerk_limits.clock import LoopClock, VirtualClock, VirtualTimeLoop, run_virtual


def test_timers_fire_in_order_and_at_their_exact_time() -> None:
    async def scenario() -> list[tuple[str, float]]:
        clock = VirtualClock(start_wall_s=1_000.0)
        seen: list[tuple[str, float]] = []

        def note(name: str) -> None:
            seen.append((name, clock.now()))

        for name, when in (("late", 7200.0), ("early", 0.25), ("middle", 3600.0)):
            clock.call_at(when, partial(note, name))
        await clock.sleep(10_000)
        return seen

    assert run_virtual(scenario()) == [("early", 0.25), ("middle", 3600.0), ("late", 7200.0)]


def test_a_year_passes_in_no_time_and_the_calendar_follows() -> None:
    async def scenario() -> float:
        clock = VirtualClock(start_wall_s=1_800_000_000.0)
        await clock.sleep(365 * 86_400)
        rung = asyncio.Event()
        clock.call_at(clock.now(), rung.set)
        await rung.wait()
        return clock.wall()

    began = time.monotonic()
    assert run_virtual(scenario()) == pytest.approx(1_800_000_000.0 + 365 * 86_400, abs=1e-3)
    assert time.monotonic() - began < 5


def test_a_cancelled_timer_stays_silent() -> None:
    async def scenario() -> list[str]:
        clock = VirtualClock(start_wall_s=0.0)
        rung: list[str] = []
        clock.call_at(1.0, lambda: rung.append("cancelled")).cancel()
        clock.call_at(2.0, lambda: rung.append("kept"))
        await clock.sleep(3)
        return rung

    assert run_virtual(scenario()) == ["kept"]


def test_a_program_that_can_never_go_on_is_told_so() -> None:
    async def scenario() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="virtual time stands still"):
        run_virtual(scenario())


def test_an_executor_job_is_not_overtaken_by_a_time_out() -> None:
    started = threading.Event()

    async def scenario() -> bool:
        async with asyncio.timeout(3600):
            return await asyncio.to_thread(started.wait, 0.001) or True

    assert run_virtual(scenario())


def test_a_worker_thread_is_not_overtaken_where_threads_are_in_play() -> None:
    async def scenario() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        worker = threading.Thread(target=lambda: loop.call_soon_threadsafe(answer.set_result, "written"))
        worker.start()
        async with asyncio.timeout(3600):
            text = await answer
        worker.join()
        return text, loop.time()

    assert run_virtual(scenario(), threads=True) == ("written", 0.0)


def test_waiting_for_a_thread_alone_is_no_deadlock() -> None:
    async def scenario() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        worker = threading.Thread(target=lambda: loop.call_soon_threadsafe(answer.set_result, "written"))
        worker.start()
        text = await answer
        worker.join()
        return text

    assert run_virtual(scenario(), threads=True) == "written"


def test_the_loop_is_an_ordinary_one_otherwise() -> None:
    loop = VirtualTimeLoop()
    try:
        assert loop.time() == 0.0
        loop.run_until_complete(asyncio.sleep(5))
        assert loop.time() == 5.0
    finally:
        loop.close()


def test_real_time_is_the_running_loops_own() -> None:
    async def scenario() -> None:
        clock = LoopClock()
        assert abs(clock.now() - asyncio.get_running_loop().time()) < 1
        assert abs(clock.wall() - time.time()) < 1
        rung = asyncio.Event()
        clock.call_at(clock.now(), rung.set)
        await clock.sleep(0)
        await rung.wait()

    asyncio.run(scenario())
