"Colorizes files of several pages, TIFF and PDF, one page at a time."

import threading
import time
from collections.abc import Callable

from ..photo import BadPhoto, ColorPixels, Photo, holds_pages, open_pages, save_pages, takes_ycbcr
from .folder import Job, Result


def has_pages(job: Job) -> bool:
    """Whether a job is done page by page: its result may have several pages, and the file has, or the result is a PDF.

    Raises:
        BadPhoto: the file cannot be read.
    """
    if not holds_pages(job.output):
        return False
    with open_pages(job.input) as pages:
        return len(pages) > 1 or job.output.suffix.lower() == ".pdf"


def colorize_pages(
    job: Job,
    colorize: Callable[..., ColorPixels],
    max_pixels: int,
    keep_source: bool = False,
    *,
    max_pages: int | None = None,
    on_page: Callable[[Photo, ColorPixels], None] | None = None,
    stopped: threading.Event | None = None,
) -> Result:
    """Colorize a file page by page, and write the result atomically.

    A page that fails costs no other: a PDF keeps it as it was, a TIFF goes without it, the result's `error` says so.

    Args:
        colorize: as `Colorizer.colorize_photo`, of a photo and `for_jpeg`.
        keep_source: as of `open_photo`.
        max_pages: a file with more is refused.
        on_page: is told of each page that was colorized.
        stopped: when set, no further page is begun, and nothing is written.

    Raises:
        BadPhoto: the file cannot be read, or not one of its pages could be colorized.
        OSError: the result cannot be written.
    """
    started = time.monotonic()
    failures, first, notes = [], None, []
    with open_pages(job.input, max_pixels, keep_source) as pages, save_pages(job.output, job.input) as write:
        if max_pages and len(pages) > max_pages:
            most = f"more than {max_pages}" if max_pages > 1 else "and this is for a file of one"
            raise BadPhoto(f"it has {len(pages)} pages, {most}")
        for number, page in enumerate(pages):
            if stopped and stopped.is_set():
                raise BadPhoto("interrupted")
            try:
                photo = page.read()
                pixels = colorize(photo, for_jpeg=takes_ycbcr(job.output))
                write(number, pixels, photo)
            except BadPhoto as error:
                failures.append(f"page {number + 1} of {len(pages)} could not be colorized: {error}")
                continue
            if on_page:
                on_page(photo, pixels)
            first = first or photo
            notes += [f"page {number + 1}: {note}" if len(pages) > 1 else note for note in photo.notes]
        if first is None:
            raise BadPhoto(failures[0])
    result = Result.done(job, first, started)
    result.pages, result.notes, result.error = len(pages), notes, "; ".join(failures) or None
    return result
