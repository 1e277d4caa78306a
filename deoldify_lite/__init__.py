"""Colour for black-and-white photographs, and the NoGAN training of such colorizers.

    from deoldify_lite import Colorizer

    Colorizer().colorize(image)

The public names load on first use: importing the package costs neither torch nor fastai.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
# A placeholder until this is published; `python tools/set_repository.py ADDRESS` changes it in all that uses it.
REPOSITORY = "https://github.com/deoldify-lite/deoldify_lite"

_PUBLIC = {
    "Colorizer": ".colorize.colorizer",
    "DeOldifyColorizer": ".colorize.deoldify_colorizer",
    "Restorer": ".restore.restorer",
    "load_generator": ".modeling.weights",
    "Schedule": ".schedule",
    "preset": ".presets",
    "open_photo": ".photo",
    "save_photo": ".photo",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
