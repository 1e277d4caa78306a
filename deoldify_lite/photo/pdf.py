"""PDFs of scans: pages read as pictures, and pictures put in the place of pages. PDFium (pypdfium2) does it.

PDFium may be used by one thread at a time, so each function here takes a lock, and closes what it opened before it
gives the lock back: what the garbage collector closes, it closes in any thread.
"""

import io
import math
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from .extras import PDFS, extra_for
from .types import MAX_PAGES, BadPhoto, check_size

POINT = 72  # points an inch
DPI = 300  # of a page that is no single picture, and of a picture that does not tell its own
LEGIBLE = 100  # pixels an inch that letters need
LOCK = threading.RLock()


def is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        return extra_for(file.read(16)) is PDFS


@contextmanager
def open_pdf(file: BinaryIO) -> Iterator[Any]:
    """A `PdfDocument`.

    Raises:
        BadPhoto: no PDF, damaged, or protected by a password.
    """
    pdfium = PDFS.load()
    with LOCK:
        try:
            document = pdfium.PdfDocument(file)
        except pdfium.PdfiumError as error:
            protected = "password" in str(error).lower()
            raise BadPhoto("protected by a password" if protected else "damaged, or not a whole PDF file") from error
        pages = len(document)
    try:
        if not 0 < pages <= MAX_PAGES:
            raise BadPhoto("no pages" if not pages else f"more than {MAX_PAGES} pages")
        yield document
    finally:
        _close(document)


def pdf_sizes(document: Any) -> list[tuple[int, int]]:
    "Width and height in pixels of each page, as `render_page` gives it; 0 x 0 if it is damaged."
    return [_size(document, number) for number in range(len(document))]


def _size(document: Any, number: int) -> tuple[int, int]:
    from pypdfium2 import PdfiumError

    with LOCK:
        try:
            with closing(document[number]) as page:
                return _pixels(page, _pictures(page), _has_text(page))
        except PdfiumError:
            return 0, 0


def render_page(document: Any, number: int, max_pixels: int) -> tuple[Image.Image, tuple[float, float], list[str]]:
    """A page as it looks, without its annotations: the image, its pixels an inch, and notes.

    A page that is one picture, as scanners make them, has the picture's own pixels.

    Raises:
        BadPhoto: the page is damaged or too large.
    """
    with LOCK, _told_as_bad_photo(), closing(document[number]) as page:
        pictures, has_text = _pictures(page), _has_text(page)
        width, height = _pixels(page, pictures, has_text)
        check_size(width, height, max_pixels)
        dpi = tuple(round(POINT * pixels / points, 2) for pixels, points in zip((width, height), page.get_size()))
        # The size is rounded up; a little less makes it exact.
        scale = min((width - 0.01) / page.get_width(), (height - 0.01) / page.get_height())
        with closing(page.render(scale=scale, draw_annots=False, may_draw_forms=False)) as bitmap:
            image = bitmap.to_pil().convert("RGB").copy()
        blank = all(low == high for low, high in image.getextrema())
        if blank and any(_is_damaged(picture) for picture in pictures):
            raise BadPhoto("its picture is damaged")
        return image, dpi, ["its text became part of the picture"] if has_text else []


def _pictures(page: Any) -> list[Any]:
    "The picture objects of a page, the largest on the page first."
    from pypdfium2 import raw

    return sorted(page.get_objects([raw.FPDF_PAGEOBJ_IMAGE]), key=_area, reverse=True)


def _has_text(page: Any) -> bool:
    "Whether a page has text that is seen."
    from pypdfium2 import raw

    return not all(_is_invisible(text) for text in page.get_objects([raw.FPDF_PAGEOBJ_TEXT]))


def _area(content: Any) -> float:
    "Square points on the page of a picture, which is a unit square, in forms or not."
    a, b, c, d, *_ = content.get_matrix().get()
    return abs(a * d - b * c) * (_area(content.container) if content.container else 1)


def _resolution(picture: Any) -> float:
    "Pixels a point."
    return math.sqrt(math.prod(picture.get_px_size()) / _area(picture))


def _pixels(page: Any, pictures: list[Any], has_text: bool) -> tuple[int, int]:
    """Width and height at the resolution of the picture that covers the page, of several the finest, as where letters
    lie over a coarse background; finer, up to `DPI`, where smaller pictures are, and `LEGIBLE` at least with text. At
    `DPI` or more where no picture covers it."""
    width, height = page.get_size()
    resolutions = [_resolution(picture) for picture in pictures if _area(picture) > 0]  # the largest picture's first
    count = sum(_area(picture) > width * height / 2 for picture in pictures)
    covering, others = resolutions[:count], resolutions[count:]
    if covering:
        wanted = [*covering, min(max(others, default=0), DPI / POINT), has_text * LEGIBLE / POINT]
    else:
        wanted = [*others[:1], DPI / POINT]
    scale = max(wanted)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _is_damaged(picture: Any) -> bool:
    from pypdfium2 import PdfiumError

    try:
        bitmap = picture.get_bitmap()
        bitmap.warn_on_close = False  # nobody looks at its pixels any more
        bitmap.close()
    except PdfiumError:
        return True
    return False


def _is_invisible(content: Any) -> bool:
    "Whether an object of a page is text that is not seen, as what text recognition found in a scan, or a form of such."
    from pypdfium2 import raw

    if content.type == raw.FPDF_PAGEOBJ_FORM:
        inside = list(content.page.get_objects(form=content.raw, level=1))
        return bool(inside) and all(map(_is_invisible, inside))
    is_text = content.type == raw.FPDF_PAGEOBJ_TEXT
    return is_text and raw.FPDFTextObj_GetTextRenderMode(content) == raw.FPDF_TEXTRENDERMODE_INVISIBLE


class PdfWriter:
    """Puts pictures in the place of the pages of a PDF; all else of it stays, such as page sizes, titles, and text that
    is not seen. Without a PDF, the pictures become the pages of a new one.

    document: of `open_pdf`, not shared with others; or a new `PdfDocument`.
    spool: a file that holds the JPEGs until the end.
    """

    def __init__(self, document: Any, spool: BinaryIO):
        self.document, self.spool = document, spool

    def put(self, number: int, jpeg: bytes, size: tuple[int, int], dpi: tuple[float, float]) -> None:
        "Let a picture, given as JPEG, be the page `number`. `size`: in pixels."
        import pypdfium2

        with LOCK, _told_as_bad_photo():
            if number < len(self.document):
                opened = self.document[number]
            else:
                opened = self.document.new_page(*(POINT * pixels / each for pixels, each in zip(size, dpi)))
            with closing(opened) as page:
                for content in list(page.get_objects(max_depth=1)):
                    if not _is_invisible(content):
                        page.remove_obj(content)
                        content.close()
                picture = pypdfium2.PdfImage.new(self.document)
                picture.load_jpeg(self._spooled(jpeg), autoclose=False)
                picture.set_matrix(_whole_page(page))
                page.insert_obj(picture)
                page.gen_content()

    def _spooled(self, data: bytes) -> "_Part":
        start = self.spool.seek(0, io.SEEK_END)
        self.spool.write(data)
        return _Part(self.spool, start, len(data))


def _whole_page(page: Any) -> Any:
    "The matrix that lets a picture, which is a unit square, fill the page and be upright when the page is turned."
    from pypdfium2 import PdfMatrix

    left, bottom, right, top = page.get_bbox()
    width, height = right - left, top - bottom
    return {
        0: PdfMatrix(width, 0, 0, height, left, bottom),
        90: PdfMatrix(0, height, -width, 0, right, bottom),
        180: PdfMatrix(-width, 0, 0, -height, right, top),
        270: PdfMatrix(0, -height, width, 0, left, top),
    }[page.get_rotation()]


class _Part(io.RawIOBase):
    "A part of a file, read when it is needed."

    def __init__(self, file: BinaryIO, start: int, length: int):
        self.file, self.start, self.length, self.place = file, start, length, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence]
        return self.place

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.start + self.place)
        view = memoryview(buffer).cast("B")[: self.length - self.place]
        self.place += (read := self.file.readinto(view))
        return read


@contextmanager
def pdf_writer(path: Path, source: Path | None) -> Iterator[PdfWriter]:
    """A `PdfWriter` for a copy of the PDF `source`, or for a new one; it is written to `path` if the block ends well.

    Raises:
        BadPhoto: as `open_pdf`.
    """
    with ExitStack() as stack:
        if source:
            document = stack.enter_context(open_pdf(stack.enter_context(source.open("rb"))))
        else:
            with LOCK:
                document = PDFS.load().PdfDocument.new()
            stack.callback(_close, document)
        yield PdfWriter(document, stack.enter_context(tempfile.TemporaryFile(dir=path.parent)))
        with LOCK, path.open("wb") as file, _told_as_bad_photo():
            output = _Output(file)
            document.save(output)
        if output.error:
            raise output.error


class _Output:
    "A file to write to whose errors are kept: PDFium cannot pass them on."

    def __init__(self, file: BinaryIO):
        self.file, self.error = file, None

    def write(self, data: Any) -> None:
        try:
            if not self.error:
                self.file.write(data)
        except OSError as error:
            self.error = error


@contextmanager
def _told_as_bad_photo() -> Iterator[None]:
    from pypdfium2 import PdfiumError

    try:
        yield
    except PdfiumError as error:
        raise BadPhoto(f"PDFium failed ({str(error).rstrip('.')})") from error


def _close(document: Any) -> None:
    with LOCK:
        document.close()
