"""What the engine's thread is given next."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_film.inference.agenda import Agenda, Idle, Slices, outward
from napari_film.inference.request import Request

A, B, C = (Request(1, (float(number),)) for number in range(3))


def taken(agenda: Agenda, most: int = 1) -> list[tuple[Request, tuple[int, ...]]]:
    """Everything that is to be computed, until there is word of being idle."""
    work = []
    while not isinstance(given := agenda.take(most), Idle):
        assert isinstance(given, Slices)
        work.append((given.request, given.indices))
    return work


def waits(agenda: Agenda) -> bool:
    """Whether there is nothing to take. Ends the agenda."""
    thread = threading.Thread(target=agenda.take, args=(1,), daemon=True)
    thread.start()
    thread.join(0.2)  # one that has something to take is long gone by then
    waiting = thread.is_alive()
    agenda.stop()
    thread.join(10)
    return waiting and not thread.is_alive()


def test_one_request_after_the_other_each_in_the_order_given() -> None:
    agenda = Agenda()
    agenda.submit([B, A], [2, 0, 1])
    assert taken(agenda) == [(B, (2,)), (B, (0,)), (B, (1,)), (A, (2,)), (A, (0,)), (A, (1,))]


def test_requests_shown_together_advance_together() -> None:
    agenda = Agenda()
    agenda.submit([A, B, C], [1, 0], together=2)
    assert taken(agenda) == [(A, (1,)), (B, (1,)), (A, (0,)), (B, (0,)), (C, (1,)), (C, (0,))]


def test_rounds_hold_slices_of_one_request_and_no_more_than_asked() -> None:
    agenda = Agenda()
    agenda.submit([A, B], [4, 3, 2, 1, 0], done={A: {3}})
    assert taken(agenda, most=3) == [(A, (4, 2, 1)), (A, (0,)), (B, (4, 3, 2)), (B, (1, 0))]


def test_what_is_done_is_not_asked_for_again() -> None:
    agenda = Agenda()
    done = {A: {0, 1, 2}, C: {1}}
    agenda.submit([A, B], [0, 1, 2], done=done)
    assert taken(agenda) == [(B, (0,)), (B, (1,)), (B, (2,))]
    assert done == {A: {0, 1, 2}, C: {1}}


def test_a_new_order_holds_for_what_is_still_to_come() -> None:
    agenda = Agenda()
    agenda.submit([A, B], [0, 1, 2, 3])
    assert agenda.take(1) == Slices(A, (0,))
    agenda.reorder(1, [3, 0, 2, 1])
    agenda.reorder(2, [0])  # of another generation
    assert taken(agenda) == [(A, (3,)), (A, (2,)), (A, (1,)), (B, (3,)), (B, (0,)), (B, (2,)), (B, (1,))]


def test_submitting_replaces_what_was_wanted() -> None:
    agenda = Agenda()
    agenda.submit([A], [0, 1])
    agenda.submit([B], [1])
    assert taken(agenda) == [(B, (1,))]
    agenda.submit([A], [0, 1])
    agenda.submit([], [0, 1])
    assert waits(agenda)


def test_restarting_wants_everything_of_the_generation_anew() -> None:
    agenda = Agenda()
    agenda.submit([A], [0, 1, 2], done={A: {2}})
    agenda.take(1)
    agenda.restart(7)
    assert agenda.take(1) == Slices(A, (1,))
    agenda.restart(1)
    assert taken(agenda) == [(A, (0,)), (A, (1,)), (A, (2,))]


def test_a_failure_of_one_generation_cancels_no_other() -> None:
    agenda = Agenda()
    agenda.submit([Request(2, ())], [0])
    agenda.cancel(1)
    assert taken(agenda) == [(Request(2, ()), (0,))]
    agenda.submit([Request(2, ())], [0])
    agenda.cancel(2)
    assert waits(agenda)


def test_cancelling_drops_whatever_was_wanted() -> None:
    agenda = Agenda()
    agenda.submit([Request(2, ())], [0])
    assert not waits(agenda)
    agenda = Agenda()
    agenda.submit([Request(2, ())], [0])
    agenda.cancel()
    assert waits(agenda)


def test_an_errand_comes_first_drops_what_was_wanted_and_the_errand_before_it() -> None:
    agenda = Agenda()
    said: list[str] = []
    agenda.submit([A], [0])
    agenda.run(lambda: said.append("first"))
    agenda.run(lambda: said.append("second"))
    agenda.submit([B], [5])
    errand = agenda.take(1)
    assert callable(errand)
    errand()
    assert said == ["second"]
    assert taken(agenda) == [(B, (5,))]
    agenda.submit([A], [0])
    agenda.run(print)
    assert agenda.take(1) is print
    assert waits(agenda)


def test_stopping_ends_everything() -> None:
    agenda = Agenda()
    agenda.submit([A], [0])
    agenda.run(lambda: None)
    agenda.stop()
    assert agenda.take(1) is None
    agenda.submit([A], [0])
    assert agenda.take(1) is None


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda agenda: agenda.submit([A], [3]), Slices(A, (3,))),
        (lambda agenda: agenda.stop(), None),
        (lambda agenda: agenda.run(print), print),
    ],
)
def test_whoever_waits_is_woken(call: Callable[[Agenda], None], expected: object) -> None:
    agenda, found = Agenda(), []
    for told in (agenda.submit([A], []), agenda.take(1)):  # idle was told once: from here on it waits
        assert told in (None, Idle(1))
    thread = threading.Thread(target=lambda: found.append(agenda.take(1)), daemon=True)
    thread.start()
    call(agenda)
    thread.join(10)
    assert found == [expected]


@given(count=st.integers(1, 30), start=st.integers(0, 29))
def test_outward_begins_in_view_and_never_goes_back(count: int, start: int) -> None:
    start = min(start, count - 1)
    order = outward(start, count)
    assert order[0] == start
    assert sorted(order) == list(range(count))
    distances = [abs(index - start) for index in order]
    assert distances == sorted(distances)
