"""Files: written so that a crash never leaves half of one, found in folders, hashed; folders that one process has."""

import contextlib
import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Container, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from .errors import DeoldifyError

try:
    import fcntl
except ImportError:  # Windows has no locks that leave the locked file usable
    fcntl = None

UMASK = os.umask(0)  # there is no way to read it but to set it
os.umask(UMASK)
TEMPORARY = ".tmp-deoldify-"  # nobody else's, so that what is left over may be removed


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, which takes its place when the block ends well.

    Flushed to the disk first, so that after a power cut there is the old file or the new one. If the block fails, the
    temporary file goes away and `path` stays as it was. If the process is killed, `remove_leftovers` clears it away.

    Raises:
        OSError: of the block, such as a full disk; named after `path` if it names no file, as failed writes do not.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, temporary = _locked_temporary(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # memory cards and network drives have no permissions to change
            temporary.chmod(0o666 & ~UMASK)  # mkstemp keeps others out; an ordinary file would not
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:
            with contextlib.suppress(AttributeError):  # those of PyAV cannot be given one
                error.filename = str(path)
        raise
    finally:
        lock.close()


def write_atomically(path: Path, data: bytes | memoryview | str) -> None:
    "Write a whole file at once, atomically."
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def walk(
    folder: Path,
    suffixes: Container[str],
    *,
    recursive: bool = True,
    follow_links: bool = False,
    avoid: Path | None = None,
) -> list[Path]:
    """Paths, relative to `folder` and sorted, of the files in it with one of `suffixes`, whatever their case.

    Also of subfolders that cannot be listed, and of what only looks like a file, such as a broken link. Hidden files
    and folders are passed over, and so is the folder `avoid`. A folder that is a link is entered only with
    `follow_links`; each folder is entered once, under its own name rather than that of a link to it.

    Raises:
        OSError: `folder` itself cannot be listed.
    """
    found = []
    entered = {_identity(avoid)} if avoid and avoid.exists() else set()
    folders, links = deque([Path()]), deque()
    while folders or links:
        inside = (folders or links).popleft()
        try:
            identity = _identity(folder / inside)
            entries = list((folder / inside).iterdir())
        except OSError:
            if inside == Path():
                raise
            found.append(inside)
            continue
        if identity in entered:
            continue
        entered.add(identity)
        for entry in sorted(entries):
            if entry.name.startswith("."):
                continue
            if is_folder(entry):
                if recursive and (follow_links or not entry.is_symlink()):
                    (links if entry.is_symlink() else folders).append(inside / entry.name)
            elif entry.suffix.lower() in suffixes:
                found.append(inside / entry.name)
    return sorted(found)


def is_folder(path: Path) -> bool:
    "Whether it is a folder; False as well where that cannot be known, in one that may be listed but not entered."
    try:
        return path.is_dir()
    except OSError:
        return False


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def sha256(path: Path) -> str:
    "Of a file's content, in hexadecimal."
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


class FolderInUse(DeoldifyError):
    "Another process works in a folder that only one may work in."


def lock_folder(folder: Path) -> TextIO:
    """Have a folder, made if need be, for this process alone until what is returned is closed, or the process dies.

    Where the disk knows no locks, two may have it.

    Raises:
        FolderInUse: another process, here or on another machine, has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("a")
    if fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise FolderInUse(f"another process works in {folder}; wait for it, or end it first") from error
        except OSError:  # a disk without locks
            pass
    return lock


# A temporary file is locked by its writer for as long as it is written. The system frees the locks of a process that
# dies, however it dies, so a file that can be locked is nobody's any more. A process id in the name would not tell: ids
# are used again, and mean nothing to another container or machine, which locks reach (over NFS, too). Nor would an age:
# a large checkpoint on a slow disk may take long. Where the disk knows no locks, leftovers stay.


def remove_leftovers(folder: Path, recursive: bool = False) -> None:
    "Remove the temporary files in `folder`, or also below it, whose writers were killed, and no other."
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for leftover in sorted(Path(folder).glob(f"{'**/' * recursive}{TEMPORARY}*")):
            with contextlib.suppress(OSError), leftover.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an OSError where the writer lives
                leftover.unlink()


def _locked_temporary(path: Path) -> tuple[BinaryIO, Path]:
    "A new empty file beside `path`, and what keeps it locked until closed."
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix[-16:])
        lock, temporary = os.fdopen(handle, "wb"), Path(name)
        if fcntl is None:
            lock.close()  # Windows does not replace what is open
            return lock, temporary
        with contextlib.suppress(OSError):  # no locks on this disk
            fcntl.flock(lock, fcntl.LOCK_EX)
        if temporary.exists():  # was not taken for a leftover in the moment before it was locked
            return lock, temporary
        lock.close()
