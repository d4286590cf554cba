"""Threads that stand back take those that they start along, and no others."""

import os
import sys
import threading

import pytest

from napari_film.inference.background import stand_back

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux alone")


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def on_a_thread(*deeds):
    """What ``deeds`` give, one after the other, on one thread."""
    found = []
    thread = threading.Thread(target=lambda: found.extend(deed() for deed in deeds))
    thread.start()
    thread.join()
    return found


def test_a_thread_and_those_that_it_starts_come_after_the_others():
    before = niceness()
    _, own, (started,) = on_a_thread(stand_back, niceness, lambda: on_a_thread(niceness))
    expected = 19
    assert (own, started) == (expected, expected)
    assert niceness() == before


def test_a_system_that_forbids_it_is_no_error(monkeypatch):
    def refuse(*_):
        raise PermissionError("not here")

    monkeypatch.setattr(os, "setpriority", refuse)
    assert on_a_thread(stand_back) == [None]


def test_elsewhere_nothing_is_set(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    before = niceness()
    assert on_a_thread(stand_back, niceness) == [None, before]
