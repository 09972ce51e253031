"""Rows of many requests go through one call; none is lost, none waits longer than it must."""

import asyncio
import threading

import pytest

from mmtrain.serving.batcher import Batcher, QueueFull


def run(test):
    return asyncio.run(asyncio.wait_for(test(), 10))


def test_requests_that_arrive_during_a_call_share_the_next_one():
    calls, go = [], threading.Event()

    def call(rows):
        calls.append(list(rows))
        go.wait(5)
        return [10 * row for row in rows]

    async def test():
        batcher = Batcher(call, most_rows=4, most_waiting=100)
        tasks = [asyncio.create_task(batcher.submit([number])) for number in range(6)]
        while not calls:
            await asyncio.sleep(0.01)
        go.set()
        parts = [part for task in tasks for part in await task]
        await batcher.drain()
        return [part.result[part.start : part.stop] for part in parts]

    assert run(test) == [[0], [10], [20], [30], [40], [50]]
    assert calls == [[0, 1, 2, 3], [4, 5]] or calls[1:] == [[1, 2, 3, 4], [5]]


def test_a_long_request_is_cut_and_comes_back_in_order():
    async def test():
        batcher = Batcher(list, most_rows=3, most_waiting=2)
        parts = await batcher.submit(range(8))
        await batcher.drain()
        return [list(part.result[part.start : part.stop]) for part in parts]

    assert run(test) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_a_full_queue_refuses_and_a_failed_call_fails_its_own_requests_only():
    go, started = threading.Event(), threading.Event()

    def call(rows):
        started.set()
        go.wait(5)
        if -1 in rows:
            raise ValueError("bad")
        return list(rows)

    async def test():
        batcher = Batcher(call, most_rows=2, most_waiting=3)
        first = asyncio.create_task(batcher.submit([-1, -1]))
        while not started.is_set():
            await asyncio.sleep(0.01)
        second = asyncio.create_task(batcher.submit([1, 2]))
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFull):
            await batcher.submit([3, 4])
        go.set()
        with pytest.raises(ValueError, match="bad"):
            await first
        assert (await second)[0].result == [1, 2]
        await batcher.drain()
        assert batcher.waiting == 0

    run(test)


def test_a_batcher_that_ends_waits_for_a_request_whose_images_are_decoded():
    async def test():
        batcher = Batcher(list, most_rows=2, most_waiting=3)
        with batcher.coming():
            end = asyncio.create_task(batcher.drain())
            await asyncio.sleep(0.1)
            assert not end.done()
            async with asyncio.timeout(5):
                assert (await batcher.submit([1, 2]))[0].result == [1, 2]
        await end

    run(test)


def test_a_request_that_was_given_up_is_not_predicted():
    go, calls = threading.Event(), []

    def call(rows):
        calls.append(list(rows))
        go.wait(5)
        return list(rows)

    async def test():
        batcher = Batcher(call, most_rows=1, most_waiting=9)
        first = asyncio.create_task(batcher.submit([1]))
        while not calls:
            await asyncio.sleep(0.01)
        second = asyncio.create_task(batcher.submit([2]))
        third = asyncio.create_task(batcher.submit([3]))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        go.set()
        await first
        await third
        await batcher.drain()

    run(test)
    assert calls == [[1], [3]]


def test_a_call_of_few_rows_is_made_in_the_thread_of_the_loop():
    threads = {}

    def call(rows):
        threads[len(rows)] = threading.current_thread()
        if -1 in rows:
            raise ValueError("bad")
        return list(rows)

    async def test():
        batcher = Batcher(call, most_rows=9, most_waiting=9, inline=lambda rows: len(rows) <= 2)
        for rows in ([1, 2], [3, 4, 5]):
            assert (await batcher.submit(rows))[0].result == rows
        with pytest.raises(ValueError, match="bad"):
            await batcher.submit([-1])
        assert (await batcher.submit([6]))[0].result == [6]
        await batcher.drain()

    run(test)
    assert threads[1] is threads[2] is threading.current_thread()
    assert threads[3] is not threading.current_thread()


def test_requests_that_have_arrived_together_share_the_first_call():
    calls = []

    async def test():
        batcher = Batcher(lambda rows: calls.append(list(rows)) or rows, most_rows=9, most_waiting=9, inline=lambda rows: True)

        async def arrive(row):
            await asyncio.sleep(0)  # read in one turn of the loop, submitted in the next
            await batcher.submit([row])

        await asyncio.gather(*(arrive(row) for row in range(4)))
        await batcher.drain()

    run(test)
    assert calls == [[0, 1, 2, 3]]
