"""The demo by itself leaves pictures and a table."""

import threading

import pytest
from PIL import Image

from napari_film.bundled import bundled_checkpoints
from napari_film.errors import InputError
from napari_film.plugin import demo


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not set(demo.SAMPLES) <= set(bundled_checkpoints()), reason="the demo checkpoints are not built")
@pytest.mark.usefixtures("make_napari_viewer_proxy")
def test_pictures_and_a_table(tmp_path, qapp):
    table = demo.run_headless(tmp_path / "demo")
    rows = table.splitlines()
    assert (tmp_path / "demo" / "table.txt").read_text() == table + "\n"
    pictures = sorted(path.name for path in (tmp_path / "demo").glob("*.png"))
    assert {row.split()[-1] for row in rows[1:]} | {"abdomen-all.png"} >= set(pictures)
    assert len(pictures) >= len(rows) - 1 >= 6
    for name in pictures:
        with Image.open(tmp_path / "demo" / name) as picture:
            assert picture.width > 1000
    assert not [thread for thread in threading.enumerate() if thread.name == "napari-film engine" and thread.is_alive()]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"The folder demo cannot be made \(Not a directory\); name another one\."):
        demo.run_headless(tmp_path / "file" / "demo")
