"""Work in threads: results in order, few items held, errors told."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from mmtrain.system import threads
from mmtrain.system.threads import in_threads, shares_of


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


def in_own_threads(shares, work):
    """What `work` makes of each share, or the error that ends it."""

    def one(share):
        try:
            with closing(share):
                return work(share)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(len(shares)) as pool:
        return list(pool.map(one, shares))


def test_several_readers_get_the_same_items_which_are_made_once():
    made, ahead = [], []

    def items():
        for number in range(50):
            made.append(number)
            yield number

    shares = shares_of(items(), 3, ahead=4)

    def slowly(share):
        found = []
        for number in share:
            time.sleep(0.001 * shares.index(share))
            found.append(number)
            ahead.append(len(made) - min(one.at for one in shares))
        return found

    assert in_own_threads(shares, slowly) == [list(range(50))] * 3
    assert made == list(range(50))
    assert max(ahead) <= 4 + 1


def test_readers_do_not_wait_for_those_that_have_closed():
    shares = shares_of(range(100), 3, ahead=2)
    works = {shares[0]: list, shares[1]: lambda _: "nothing", shares[2]: lambda share: [next(share), next(share)]}
    assert in_own_threads(shares, lambda share: works[share](share)) == [list(range(100)), "nothing", [0, 1]]


def test_an_error_of_the_items_is_told_to_every_reader():
    def items():
        yield from range(10)
        raise ValueError("the file was changed")

    assert in_own_threads(shares_of(items(), 3), list) == ["the file was changed"] * 3


def test_whoever_is_stopped_fails():
    shares = shares_of(range(10), 2)
    assert [next(share) for share in shares] == [0, 0]
    shares[0].stop()
    for share in shares:
        with pytest.raises(RuntimeError, match=r"^The reading was stopped\.$"):
            next(share)
