"""Torch comes on a thread and leaves the process as it found it. Each test has an interpreter of its own: torch comes once."""

import subprocess
import sys

import pytest


def told_by(code):
    """What a fresh interpreter prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


BEGINNING = """
import gc, sys
from napari_film.inference.torch_import import unobtrusive_import
assert "torch" not in sys.modules
sys.setswitchinterval(0.004)
"""


@pytest.mark.parametrize("collects", [True, False])
def test_what_was_set_for_the_import_is_set_back(collects):
    code = f"""{BEGINNING}
gc.{"enable" if collects else "disable"}()
with unobtrusive_import():
    print(gc.isenabled(), sys.getswitchinterval())
    import torch
print(gc.isenabled(), round(sys.getswitchinterval(), 6), gc.get_freeze_count(), torch.ones(2).sum().item())
"""
    assert told_by(code) == ["False", "0.0005", str(collects), "0.004", "0", "2.0"]


def test_it_is_set_back_where_the_import_fails():
    code = f"""{BEGINNING}
sys.modules["torch._C"] = None
try:
    with unobtrusive_import():
        import torch
except ImportError:
    print(gc.isenabled(), round(sys.getswitchinterval(), 6))
"""
    assert told_by(code) == ["True", "0.004"]


def test_what_another_part_of_the_process_has_frozen_stays_so():
    code = f"""{BEGINNING}
gc.freeze()
with unobtrusive_import():
    import torch
print(gc.get_freeze_count() > 0)
"""
    assert told_by(code) == ["True"]


def test_two_threads_that_import_at_one_time():
    """The second waits for the first: else it would set back what the first had set."""
    code = f"""{BEGINNING}
import threading
def bring():
    with unobtrusive_import():
        import torch
threads = [threading.Thread(target=bring) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("torch" in sys.modules, gc.isenabled(), round(sys.getswitchinterval(), 6))
"""
    assert told_by(code) == ["True", "True", "0.004"]


def test_where_torch_is_there_already_nothing_is_set():
    code = f"""{BEGINNING}
import torch
with unobtrusive_import():
    print(gc.isenabled(), round(sys.getswitchinterval(), 6))
"""
    assert told_by(code) == ["True", "0.004"]


def test_without_torch_s_libraries_the_import_is_left_to_torch():
    code = f"""{BEGINNING}
import napari_film.inference.torch_import as module
module._LIBRARIES = ("libnothing.so", "../__init__.py")  # none, and one that is no library
with unobtrusive_import():
    import torch
print(torch.ones(2).sum().item())
"""
    assert told_by(code) == ["2.0"]
