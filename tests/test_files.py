"""A file is there in full or not at all, whatever happens while it is written."""

import os
import stat
from pathlib import Path

import pytest

from deoldify_lite.files import UMASK, atomic_path, write_atomically


def test_writes_text_and_bytes_into_folders_that_it_makes(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "text", "é")
    write_atomically(tmp_path / "a" / "b" / "bytes", b"\xff")
    assert (tmp_path / "a" / "b" / "text").read_text(encoding="utf-8") == "é"
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["bytes", "text"]
    assert (tmp_path / "a" / "b" / "bytes").read_bytes() == b"\xff"


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.jpg"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]
    assert path.read_text() == "old"


def test_a_failure_to_replace_leaves_no_temporary_file(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "a.jpg", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]


def test_the_temporary_file_is_hidden_and_keeps_the_extension(tmp_path):
    with atomic_path(tmp_path / "a.jpg") as temporary:
        assert temporary.parent == tmp_path and temporary.name.startswith(".") and temporary.suffix == ".jpg"


def test_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda *args: (order.append("replace"), replace(*args))[1])
    write_atomically(tmp_path / "a", "new")
    assert order == ["fsync", "replace"]


def test_has_the_permissions_of_an_ordinary_file(tmp_path):
    write_atomically(tmp_path / "a", "new")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~UMASK


def test_a_disk_without_permissions_is_no_obstacle(tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    write_atomically(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("name", ["x" * 255, "x" * 251 + ".jpg", "x." + "y" * 253, os.fsdecode(b"\xff\xfe.jpg")])
def test_names_that_are_long_or_no_text(tmp_path, name):
    write_atomically(tmp_path / name, "new")
    assert [p.name for p in tmp_path.iterdir()] == [name]
