"The file formats: which are read, which are written, what each can hold, and which need an extra."

from pathlib import Path

# Pillow's names of the formats that it opens by itself. No other decoder may see an untrusted file: that of EPS runs a
# program.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")  # JPEG includes MPO

# Extension -> format, for those that are written, too.
WRITABLE = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".jp2": "JPEG2000",
    ".avif": "AVIF",
    ".jxl": "JXL",
    ".pdf": "PDF",
}
HEIC = frozenset((".heic", ".heif", ".hif"))
# Those of rawpy (LibRaw) that cameras of today and of the last twenty years write.
RAW = frozenset(
    f".{name}"
    for name in (
        *("dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "srf", "orf", "rw2", "raf", "pef", "srw"),
        *("3fr", "fff", "iiq", "rwl", "erf", "mrw", "kdc", "dcr", "x3f"),
    )
)
# What becomes of a format that is not written; of any other, a PNG. HEIC takes very long to encode, and fewer programs
# open it than JPEG. 16-bit TIFF is what raw converters write.
RESULTS = dict.fromkeys(HEIC, ".jpg") | dict.fromkeys(RAW, ".tif")

# One picture a file, for training and evaluation as well.
EXTENSIONS = frozenset(WRITABLE).union(HEIC, (".gif", ".pgm", ".ppm", ".pbm", ".pnm", ".mpo", ".j2k")) - {".pdf"}
UNREADABLE = {".svg": "SVG", ".eps": "EPS", ".psd": "PSD"}
PICTURE_SUFFIXES = EXTENSIONS.union(UNREADABLE)  # readable or not
PHOTO_SUFFIXES = PICTURE_SUFFIXES.union(RAW, (".pdf",))  # of all that is colorized
PAGED = ("TIFF", "PDF")  # formats that hold several pages
OPAQUE = ("JPEG", "BMP", "PDF")  # formats without transparency
MAX_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65536, "PDF": 65500}
MAX_METADATA = {"JPEG": {"exif": 65533, "xmp": 65504}}  # bytes


def output_name(name: str) -> str:
    "The file name of a result: the photo's own, with `.jpg`, `.tif` or `.png` added if its format is not written."
    suffix = Path(name).suffix.lower()
    return name if suffix in WRITABLE else name + RESULTS.get(suffix, ".png")


def holds_pages(path: Path) -> bool:
    "Whether a file of this name may have several pages."
    return WRITABLE.get(Path(path).suffix.lower()) in PAGED
