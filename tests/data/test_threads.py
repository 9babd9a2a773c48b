import threading

import pytest

from frenemy.data.threads import WORKERS, each_in_order, in_order


def test_results_come_in_the_order_of_the_items():
    assert list(each_in_order(lambda x: x * x, range(1000), 7, "squaring")) == [
        x * x for x in range(1000)
    ]


def test_it_runs_only_a_few_items_ahead():
    started = []
    results = in_order(lambda x: started.append(x) or x, range(1000))
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(started) <= 10 + WORKERS + 3
    results.close()
    assert len(started) <= 10 + WORKERS + 3


def test_it_runs_on_several_threads():
    barrier = threading.Barrier(min(WORKERS, 2))
    assert len(list(in_order(lambda _: barrier.wait(), range(2 * WORKERS)))) == 2 * WORKERS


def test_errors_come_through():
    def fail(x):
        raise ValueError(x)

    with pytest.raises(ValueError, match="3"):
        list(each_in_order(fail, [3], 2, "failing"))


def test_progress_is_for_terminals(capsys):
    list(each_in_order(str, range(10), 1, "writing"))
    assert capsys.readouterr() == ("", "")
