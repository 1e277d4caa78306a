"""A file is there in full or not at all, whatever happens while it is written."""

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deoldify_lite import files
from deoldify_lite.files import (
    TEMPORARY,
    UMASK,
    FolderInUse,
    atomic_path,
    lock_folder,
    remove_leftovers,
    sha256,
    walk,
    write_atomically,
)


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


def test_a_disk_that_is_full_is_named(tmp_path):
    """Or a file that may not grow as large: what fails is a plain write, whose error says nothing of the file."""
    resource = pytest.importorskip("resource")
    path, limits = tmp_path / "a.bin", resource.getrlimit(resource.RLIMIT_FSIZE)
    path.write_bytes(b"old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError) as failure:
            write_atomically(path, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert failure.value.filename == str(path) and failure.value.strerror
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_an_error_that_takes_no_name_stays_what_it_is(tmp_path):
    """As those of PyAV, whose names cannot be set."""

    class Fixed(OSError):
        filename = property(lambda self: None)

    with pytest.raises(Fixed, match="no space"), atomic_path(tmp_path / "a.mp4"):
        raise Fixed(errno.ENOSPC, "no space")
    assert not list(tmp_path.iterdir())


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


# What the killed leave behind.

needs_locks = pytest.mark.skipif(files.fcntl is None, reason="no file locks on this system")
WRITER = """
import sys, time
from pathlib import Path
from deoldify_lite.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half of the n")
    print(temporary, flush=True)
    time.sleep(600)
"""


def test_a_file_that_is_written_is_no_leftover(tmp_path):
    with atomic_path(tmp_path / "a.jpg") as temporary:
        temporary.write_text("n")
        remove_leftovers(tmp_path)
        temporary.write_text("new")  # by another handle than the one that holds the lock
        remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]
    assert (tmp_path / "a.jpg").read_text() == "new"


@needs_locks
def test_a_leftover_is_removed_once_its_writer_was_killed(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / f"{name}.jpg"], stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    try:
        first, second = (Path(writer.stdout.readline().strip()) for writer in writers)
        remove_leftovers(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([first, second])

        writers[0].send_signal(signal.SIGKILL)
        writers[0].wait()
        assert first.exists()
        remove_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == [second]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


@needs_locks
def test_only_leftovers_are_removed(tmp_path):
    others = {tmp_path / name for name in ("a.jpg", ".hidden.jpg", ".tmp-of-somebody-else", "x")}
    for path in others:
        path.touch()
    (tmp_path / f"{TEMPORARY}folder").mkdir()
    (tmp_path / f"{TEMPORARY}nobodys.jpg").touch()
    remove_leftovers(tmp_path)
    assert set(tmp_path.iterdir()) == others | {tmp_path / f"{TEMPORARY}folder"}
    remove_leftovers(tmp_path / "missing")
    remove_leftovers(tmp_path / "a.jpg")


@needs_locks
def test_writers_and_cleaners_at_once(tmp_path):
    "A file may be seen by a cleaner in the moment before its writer locks it: then the writer takes another."
    ready = threading.Event()
    over = threading.Event()

    def clean():
        while not over.is_set():
            remove_leftovers(tmp_path)
            ready.set()

    cleaners = [threading.Thread(target=clean) for _ in range(2)]
    for cleaner in cleaners:
        cleaner.start()
    try:
        ready.wait()
        for i in range(200):
            write_atomically(tmp_path / str(i), str(i))
    finally:
        over.set()
        for cleaner in cleaners:
            cleaner.join()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {str(i): str(i) for i in range(200)}


@needs_locks
def test_a_file_that_is_taken_before_it_is_locked(tmp_path, monkeypatch):
    flock, taken = files.fcntl.flock, []

    def late(file, how):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        flock(file, how)

    monkeypatch.setattr(files.fcntl, "flock", late)
    write_atomically(tmp_path / "a", "new")
    assert len(taken) == 1 and (tmp_path / "a").read_text() == "new"


@needs_locks
def test_a_folder_is_for_one_process_until_that_ends(tmp_path):
    code = "import sys; from pathlib import Path; from deoldify_lite.files import lock_folder\n"
    code += "lock = lock_folder(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(FolderInUse, match=r"another process works in .*run"):
            lock_folder(tmp_path / "run")
        other.kill()
    with lock_folder(tmp_path / "run"), pytest.raises(FolderInUse):
        lock_folder(tmp_path / "run")
    lock_folder(tmp_path / "run").close()


@pytest.mark.parametrize("kind", ["disk", "system"])
def test_without_locks_files_are_written_and_leftovers_stay(tmp_path, monkeypatch, kind):
    def refuse(*args):
        raise OSError(38, "Function not implemented")

    if kind == "system":
        monkeypatch.setattr(files, "fcntl", None)
    elif files.fcntl:
        monkeypatch.setattr(files.fcntl, "flock", refuse)
    (tmp_path / f"{TEMPORARY}perhaps somebodys").touch()
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("new")
        remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{TEMPORARY}perhaps somebodys", "a"]
    assert (tmp_path / "a").read_text() == "new"


@pytest.fixture
def tree(tmp_path) -> Path:
    """Files at several depths, hidden ones, links to folders, and a link to nothing."""
    for name in ("b.png", "a/z.PNG", "a/deep/c.png", "a.png", "text.txt", ".hidden.png", ".hidden/d.png", "a/.e/f.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "0-link").symlink_to("a", target_is_directory=True)
    (tmp_path / "a" / "loop").symlink_to("..", target_is_directory=True)
    (tmp_path / "broken.png").symlink_to("nowhere")
    return tmp_path


def walked(folder: Path, **options) -> list[str]:
    return [path.as_posix() for path in walk(folder, {".png"}, **options)]


def test_walking_in_a_fixed_order_without_what_is_hidden_or_linked(tree):
    assert walked(tree) == ["a/deep/c.png", "a/z.PNG", "a.png", "b.png", "broken.png"]
    assert walked(tree, recursive=False) == ["a.png", "b.png", "broken.png"]


def test_links_to_folders_are_entered_once_and_by_the_folders_own_names(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "g.png").touch()
    (tree / "outside").symlink_to(elsewhere, target_is_directory=True)
    assert walked(tree, follow_links=True) == [*walked(tree), "outside/g.png"]


def test_a_folder_to_avoid_goes_by_what_it_is_not_by_its_name(tree):
    assert walked(tree, avoid=tree / "0-link") == ["a.png", "b.png", "broken.png"]
    assert walked(tree, avoid=tree / "is not there") == walked(tree)


def test_folders_that_cannot_be_listed_are_named(tree, monkeypatch):
    iterdir = Path.iterdir

    def refuse(path):
        if path.name in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)  # tests may run as root, who may list everything
    refused = {"deep"}
    assert walked(tree) == ["a/deep", "a/z.PNG", "a.png", "b.png", "broken.png"]
    refused = {tree.name}
    with pytest.raises(PermissionError):
        walk(tree, {".png"})


def test_sha256(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(b"a" * 3_000_000)
    assert sha256(tmp_path / "empty").startswith("e3b0c44298fc1c14")
    assert sha256(tmp_path / "large") == hashlib.sha256(b"a" * 3_000_000).hexdigest()
