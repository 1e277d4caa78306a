"Folders on a server of their own, as `python -m http.server` serves them."

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@dataclass
class Served:
    "A site on a server of its own, which can be stopped."

    folder: Path
    server: ThreadingHTTPServer
    asked: list[str] = field(default_factory=list)  # paths of all requests

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def serve(folder: Path) -> Iterator[Served]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format, *arguments):
            served.asked.append(self.path)

    served = Served(folder, ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))))
    Thread(target=served.server.serve_forever, daemon=True).start()
    yield served
    served.stop()
