"What a program that reads many files of strangers sets for its own process, which a library must not."

import ctypes
import logging
import warnings

from PIL import Image, _imaging


def quiet_decoders() -> None:
    """From here on a photo's fate is told by its `BadPhoto` and its notes alone, and its size limited by us alone.

    Applies to all threads. A program calls it; importing the package changes nothing.
    """
    Image.MAX_IMAGE_PIXELS = None  # `open_photo` has a limit of its own
    warnings.filterwarnings("ignore", module="PIL")  # about damaged metadata
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # about odd TIFFs
    # libtiff writes to standard error by itself and Pillow has no switch for it, but libtiff has: no handler, no words.
    # The names are found through the module that is linked with it. Where it is built in (Windows), libtiff goes on.
    linked = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if hasattr(linked, name):
            getattr(linked, name)(None)
