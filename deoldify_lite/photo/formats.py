"Which files are photos, which can be written, and what each kind of file can hold."

from pathlib import Path

# Pillow's names of what is opened. Named, so that no exotic decoder (EPS starts a program) ever sees an untrusted file.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")  # JPEG stands for MPO, too

# Extension -> Pillow's name, for what can be written back as it came; anything else becomes PNG.
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
OPAQUE = ("JPEG", "BMP")  # formats without transparency
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65536}
LONGEST_METADATA = {"JPEG": {"exif": 65533, "xmp": 65504}}  # bytes


def output_name(name: str) -> str:
    "The name of a result: that of the photo where its format can be written, else with `.png` added."
    return name if Path(name).suffix.lower() in WRITABLE else name + ".png"
