"""Work in threads: results in order, few items held, errors told."""

import threading
import time
from contextlib import closing

import pytest

from mmtrain import threads
from mmtrain.threads import in_threads


@pytest.fixture(autouse=True)
def three_cores(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 3)


def test_results_come_in_the_order_of_the_items():
    def slow_first(number):
        time.sleep((5 - number) / 200)
        return number * 10

    assert list(in_threads(slow_first, range(6))) == [0, 10, 20, 30, 40, 50]
    assert list(in_threads(slow_first, [])) == []


def test_work_is_done_in_several_threads_at_once():
    together = threading.Barrier(3, timeout=10)
    assert sorted(in_threads(lambda _: together.wait(), range(3))) == [0, 1, 2]


@pytest.mark.parametrize(("most", "held"), [(4, 4), (1, 2)])
def test_items_are_taken_one_ahead_of_the_threads(most, held):
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    with closing(in_threads(lambda number: number, items(), most=most)) as results:
        assert next(results) == 0
        assert len(taken) == held


def test_error_of_an_item_is_raised_in_its_turn():
    with closing(in_threads(lambda number: 1 // (2 - number), range(5))) as results:
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(ZeroDivisionError):
            next(results)
