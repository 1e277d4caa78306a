"""Checks and translates what passes between the browser and Gradio.

Gradio names files by their path on the server, fetches photos from any address that a caller gives it, and accepts JSON
of any length. With this middleware, the page's folder is called `/photos`, and only files in it can be named.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OUTSIDE, API = "/photos", "/gradio_api/"
UPLOAD, FILE = f"{API}upload", f"{API}file="
# The paths that the page and the API need. Gradio has more: an editor, a video converter, one that fetches any address.
NEEDED = "call/ queue/data heartbeat/ upload_progress info openapi.json app_id startup-events theme.css"
GETS = (FILE, *(API + path for path in NEEDED.split()))
POSTS = (UPLOAD, *(API + path for path in ("queue/join", "call/", "cancel", "reset")))
TEXT = ("application/json", "text/html", "text/event-stream")
MAX_JSON = 1 << 20  # bytes
MIN_FREE = 1 << 30  # bytes that must stay free on the disk


class OnlyPhotos:
    """ASGI middleware.

    Args:
        folder: the only folder whose files can be named; its own path is never shown.
        max_upload: bytes of all files of one request.
    """

    def __init__(self, app: ASGIApp, folder: Path, max_upload: int):
        self.app = app
        self.folder = str(folder)
        self.max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            if scope["method"] == "POST":
                receive = await self._incoming(scope, receive)
            elif scope["path"].startswith(API) and not scope["path"].startswith(GETS):
                raise HTTPException(404, "not here")
            elif scope["path"].startswith(FILE):
                path = FILE + self._inside(scope["path"].removeprefix(FILE))
                scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        except HTTPException as refusal:
            return await JSONResponse({"detail": refusal.detail}, refusal.status_code)(scope, receive, send)
        await self.app(scope, receive, self._outgoing(send))

    def _inside(self, path: str) -> str:
        "The path on the server of a file that is called `path` outside."
        if os.sep == "\\":  # Windows, where Gradio's answers have it
            path = path.replace("\\", "/")
        inside = path.removeprefix(OUTSIDE)
        if not path.startswith(f"{OUTSIDE}/") or ".." in inside.replace("\\", "/").split("/") or "\0" in inside:
            raise HTTPException(403, "only photos that were uploaded to this page")
        return self.folder + inside

    async def _incoming(self, scope: Scope, receive: Receive) -> Receive:
        if not scope["path"].startswith(POSTS):
            raise HTTPException(404, "not here")
        if scope["path"] == UPLOAD:
            if shutil.disk_usage(self.folder).free < MIN_FREE:
                raise HTTPException(507, "the server's disk is full; please try again later")
            return self._counted(receive)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > MAX_JSON:
                raise HTTPException(413, "more than a request of this page can be")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        try:
            body = json.dumps(self._with_files_inside(json.loads(body or b"{}"))).encode()
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, "not JSON") from error
        replay = iter([{"type": "http.request", "body": body}])

        async def replayed() -> Message:
            return next(replay, None) or await receive()

        return replayed

    def _counted(self, receive: Receive) -> Receive:
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.max_upload:
                raise HTTPException(413, "more than this page takes at once; please send fewer photos")
            return message

        return counted

    def _with_files_inside(self, value: Any) -> Any:
        "JSON data with the path on the server for each file."
        if isinstance(value, list):
            return [self._with_files_inside(item) for item in value]
        if not isinstance(value, dict):
            return value
        value = {key: self._with_files_inside(item) for key, item in value.items()}
        if isinstance(value.get("path"), str):
            value["path"] = self._inside(value["path"])
            value.pop("url", None)  # redundant, and not to be trusted
            value["meta"] = {"_type": "gradio.FileData"}  # required by Gradio, unknown to callers
        return value

    def _outgoing(self, send: Send) -> Send:
        "`send`, with the folder called `/photos` in all text."
        # Plain, as in JSON, and as in URLs.
        spellings = {self.folder, json.dumps(self.folder)[1:-1], quote(self.folder), quote(self.folder, safe="")}
        start, is_text = None, False

        async def translated(message: Message) -> None:
            nonlocal start, is_text
            if message["type"] == "http.response.start":
                is_text = Headers(scope=message).get("content-type", "").startswith(TEXT)
                if is_text:  # its length may change
                    start = message
                    return
            elif is_text and message["type"] == "http.response.body":
                body = message.get("body", b"")
                for spelling in spellings:
                    body = body.replace(spelling.encode(), OUTSIDE.encode())
                message = {**message, "body": body}
                if start:
                    headers = [(key, value) for key, value in start["headers"] if key.lower() != b"content-length"]
                    if not message.get("more_body"):
                        headers.append((b"content-length", str(len(body)).encode()))
                    await send({**start, "headers": headers})
                    start = None
            await send(message)

        return translated
