"""A page that runs: `scripts/app.py` as a program of its own, with every call to another host written down."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import pytest

from helpers.scripts import free_port

ROOT = Path(__file__).parents[2]
WATCHED = """
import ctypes, gc, os, runpy, signal, sys

outside, memory = open(sys.argv.pop(1), "a", buffering=1), open(sys.argv.pop(1), "a", buffering=1)
sys.modules.update(dict.fromkeys(os.environ["NOT_HERE"].split()))
del sys.argv[0]

def watch(event, arguments):
    if event == "socket.connect":
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in (None, "127.0.0.1", b"127.0.0.1", "localhost", b"localhost", "::1"):
        outside.write(f"{event} {host}\\n")

class Memory(ctypes.Structure):  # glibc's mallinfo2
    _fields_ = [(name, ctypes.c_size_t) for name in "arena b c d mapped e f used g h".split()]

def write_memory(signal_number, frame):
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Memory
    found = mallinfo()
    memory.write(f"{(found.used + found.mapped) / 2**20}\\n")

sys.addaudithook(watch)
signal.signal(signal.SIGUSR1, write_memory)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass
class Server:
    address: str
    process: subprocess.Popen
    folder: Path

    @property
    def temporary(self) -> Path:
        "Where uploads and results lie."
        (found,) = (self.folder / "tmp").glob("deoldify-lite-*")
        return found

    @property
    def feedback(self) -> Path:
        return self.folder / "feedback"

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    def calls_outside(self) -> str:
        return (self.folder / "outside").read_text()

    def memory(self) -> float:
        """Megabytes in use: of photos, arrays and tensors, not of small Python objects.

        What is resident would say less: the allocator keeps some of what is free, now more and now less.
        """
        file = self.folder / "memory"
        before = file.read_text()
        self.process.send_signal(signal.SIGUSR1)
        deadline = monotonic() + 60
        while not (after := file.read_text()[len(before) :]).endswith("\n"):
            assert monotonic() < deadline, self.log
            sleep(0.02)
        return float(after)


@pytest.fixture(scope="session")
def start(weights, tmp_path_factory) -> Iterator[Callable[..., Server]]:
    "Start a page with the small network, whatever options are given, and without the modules `not_here`."
    for needed in ("gradio", "httpx"):
        pytest.importorskip(needed)
    running = []

    def run(*options: str, not_here: str = "") -> Server:
        folder = tmp_path_factory.mktemp("page")
        (folder / "tmp").mkdir()
        (folder / "here").mkdir()
        settings = {"TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        settings |= {"NOT_HERE": not_here}
        command = [sys.executable, "-c", WATCHED, folder / "outside", folder / "memory"]
        command += [ROOT / "scripts" / "app.py", *options]
        command += ["--port", str(free_port()), "--weights", weights, "--feedback", folder / "feedback"]
        with (folder / "stderr").open("w") as errors:
            process = subprocess.Popen(
                command,
                cwd=folder / "here",
                env=os.environ | settings,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        running.append(process)
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), (folder / "stderr").read_text()
        return Server(address, process, folder)

    yield run
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server(start, restorer_weights) -> Server:
    "The page that most tests share. Its restorer is tiny."
    photos = ("--max-megabytes", "2", "--max-pixels", "2000000", "--max-photos", "4", "--max-waiting", "25")
    return start(
        *photos, "--restorer", str(restorer_weights), "--max-video-megabytes", "2", "--max-video-minutes", "0.2"
    )
