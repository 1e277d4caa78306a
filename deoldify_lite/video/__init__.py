"""Videos in colour: steady, everything but colour kept, however long.

    from deoldify_lite.video import VideoColorizer

`colorizer` turns frames into frames; `job` does files, in parts from which a killed run goes on. Needs the extra
`video`: PyAV, PySceneDetect and OpenCV.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {"VideoColorizer": ".colorizer", "BadVideo": ".errors", "colorize_file": ".job"}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name], __name__), name)
