"The file formats: which are read, which are written, and what each can hold."

from pathlib import Path

# Pillow's names of the formats that are opened. No other decoder may see an untrusted file: that of EPS runs a program.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")  # JPEG includes MPO

# Extension -> Pillow's name, for formats that are written, too; a photo of any other becomes a PNG.
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
}
EXTENSIONS = frozenset((*WRITABLE, ".gif", ".pgm", ".ppm", ".pbm", ".pnm", ".mpo", ".j2k"))
UNREADABLE = {
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".jxl": "JPEG XL",
    ".svg": "SVG",
    ".eps": "EPS",
    ".pdf": "PDF",
    ".psd": "PSD",
    ".dng": "camera raw",
    ".cr2": "camera raw",
    ".cr3": "camera raw",
    ".nef": "camera raw",
    ".arw": "camera raw",
}
PHOTO_SUFFIXES = EXTENSIONS.union(UNREADABLE)  # of all that are photos, readable or not
OPAQUE = ("JPEG", "BMP")  # formats without transparency
MAX_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65536}
MAX_METADATA = {"JPEG": {"exif": 65533, "xmp": 65504}}  # bytes


def output_name(name: str) -> str:
    "The file name of a result: the photo's own, with `.png` added if its format cannot be written."
    return name if Path(name).suffix.lower() in WRITABLE else name + ".png"
