"""Errands: answers come back on the main thread, newest question only, and nothing is left running."""

import threading

import pytest

from napari_film.errors import InputError
from napari_film.plugin.errands import Errands

PATIENCE = 30


class Bell:
    def __init__(self):
        self.rung = threading.Event()

    def __call__(self):
        self.rung.set()

    def wait(self):
        assert self.rung.wait(PATIENCE)
        self.rung.clear()


@pytest.fixture
def bell():
    return Bell()


@pytest.fixture
def errands(bell):
    errands = Errands(bell)
    yield errands
    assert errands.close(PATIENCE)
    assert not any(thread.name == "napari-film errands" for thread in threading.enumerate())


def test_work_runs_elsewhere_and_its_answer_comes_here(errands, bell):
    threads = []
    errands.submit("sum", lambda _: threads.append(threading.current_thread().name) or 3, threads.append)
    bell.wait()
    assert errands.busy("sum")
    errands.drain()
    assert threads == ["napari-film errands", 3]
    assert not errands.busy("sum")


def test_an_older_question_is_never_answered(errands, bell):
    started, go = threading.Event(), threading.Event()
    answers, stopped = [], []

    def slow(cancelled):
        started.set()
        assert go.wait(PATIENCE)
        stopped.append(cancelled())
        return "old"

    errands.submit("mask", slow, answers.append)
    assert started.wait(PATIENCE)
    errands.submit("mask", lambda _: "forgotten", answers.append)
    errands.submit("mask", lambda _: "new", answers.append)
    go.set()
    while not answers:
        bell.wait()
        errands.drain()
    assert answers == ["new"]
    assert stopped == [True]


def test_topics_do_not_disturb_each_other(errands, bell):
    answers = []
    errands.submit("one", lambda _: 1, answers.append)
    errands.submit("two", lambda _: 2, answers.append)
    while len(answers) < 2:
        bell.wait()
        errands.drain()
    assert answers == [1, 2]


def test_an_answer_that_nobody_wants_any_more_is_dropped(errands, bell):
    answers = []
    errands.submit("one", lambda _: 1, answers.append)
    bell.wait()
    errands.cancel("one")
    errands.drain()
    assert answers == []


def test_mistakes_are_told_in_words_and_the_thread_lives_on(errands, bell):
    told = []

    def mistaken(_):
        raise InputError("The reference is empty.")

    def broken(_):
        raise MemoryError("no room")

    for work in (mistaken, broken):
        errands.submit("one", work, told.append, told.append)
        bell.wait()
        errands.drain()
    assert told == ["The reference is empty.", "That stopped unexpectedly (MemoryError: no room)."]
    errands.submit("one", lambda _: "fine", told.append)
    bell.wait()
    errands.drain()
    assert told[-1] == "fine"


def test_progress_is_told_on_the_way(errands, bell):
    steps, go = [], threading.Event()

    def work(_):
        errands.tell(lambda: steps.append("half"))
        assert go.wait(PATIENCE)
        return "whole"

    errands.submit("one", work, steps.append)
    bell.wait()
    errands.drain()
    assert steps == ["half"]
    go.set()
    bell.wait()
    errands.drain()
    assert steps == ["half", "whole"]


def test_nothing_starts_after_the_end(bell):
    errands = Errands(bell)
    assert errands.close(PATIENCE)
    errands.submit("one", lambda _: 1, lambda _: pytest.fail("ran"))
    assert not errands.busy("one")
