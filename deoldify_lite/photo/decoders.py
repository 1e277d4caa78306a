"Settings of the image decoders for a whole process: for programs that read untrusted files, never for a library."

import ctypes
import logging
import warnings

from PIL import Image, _imaging


def configure_decoders() -> None:
    """Turn off the decoders' own warnings, and Pillow's own limit of size, for all threads of this process.

    What is wrong with a photo is then told by `BadPhoto` and `Photo.notes` alone, and `open_photo` alone limits its
    size. For programs to call; importing the package changes nothing.
    """
    Image.MAX_IMAGE_PIXELS = None  # `open_photo` has a limit of its own
    warnings.filterwarnings("ignore", module="PIL")  # about damaged metadata
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # about unusual TIFFs
    # libtiff writes to standard error until its handlers are removed, for which Pillow has no function. The names are
    # found through the module that is linked with libtiff; where it is linked statically (Windows), it goes on.
    linked = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if hasattr(linked, name):
            getattr(linked, name)(None)
