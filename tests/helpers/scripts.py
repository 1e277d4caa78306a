"""Scripts of this repository: as modules, and as programs of their own."""

import importlib.util
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def load_script(path: str) -> ModuleType:
    "`scripts/name.py` or `tools/name.py`, imported without being run."
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start_script(path: str, *arguments, **options) -> subprocess.Popen:
    "The same, started as a program that can be interrupted and killed; `options` as of `Popen`."
    return subprocess.Popen(
        [sys.executable, ROOT / path, *map(str, arguments)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
        # Whoever starts the tests in the background may have had SIGINT ignored, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def free_port() -> int:
    "For a program that listens on this machine; nobody else has it at the moment."
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]
