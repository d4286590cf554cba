"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from napari_film.atomic import atomic_path, write_text
from napari_film.errors import InputError


def test_the_file_appears_at_the_end_and_nothing_else_does(tmp_path: Path) -> None:
    target = tmp_path / "mask.nii.gz"
    with atomic_path(target) as temporary:
        assert temporary.name == target.name
        assert temporary.parent.parent == tmp_path  # where a rename is no copy
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt("stop")])
def test_what_stood_there_stays_when_writing_fails(error: BaseException, tmp_path: Path) -> None:
    target = tmp_path / "mask.nii"
    target.write_text("before")

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error), match=str(error)):
        write()
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_fails_before_it_writes_is_no_other_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="early"), atomic_path(tmp_path / "x"):
        raise RuntimeError("early")
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x") as first, atomic_path(tmp_path / "x") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "x").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "x.json", "Gehirn: Ödem\n")
    assert (tmp_path / "x.json").read_bytes() == "Gehirn: Ödem\n".encode()


def test_places_that_cannot_be_written_are_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^The folder of x\.json does not exist; make it first or name another one\.$"):
        write_text(tmp_path / "gone" / "x.json", "")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"^folder is a folder; name a file to write to\.$"):
        write_text(tmp_path / "folder", "")
    with pytest.raises(InputError, match=r"cannot be written \(File name too long\); make room or name another file\.$"):
        write_text(tmp_path / ("x" * 300), "")
