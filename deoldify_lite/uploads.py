"Uploads of photos in a notebook: by a button in Jupyter, by a dialog in Colab."

import sys
from pathlib import Path

from .errors import UsageError
from .files import write_atomically
from .photo import readable_suffixes


class Uploads:
    "Shows the button or dialog when created; `save` writes the photos."

    def __init__(self):
        if "google.colab" in sys.modules:
            from google.colab import files

            self.picked = files.upload()  # blocks until they are uploaded
            return
        from IPython.display import display
        from ipywidgets import FileUpload

        self.picked = None
        self.button = FileUpload(accept=",".join(("image/*", *sorted(readable_suffixes()))), multiple=True)
        display(self.button)

    def save(self, folder: Path) -> list[Path]:
        """Write the photos into `folder`, under their own names. Returns their paths.

        Raises:
            UsageError: no photo was picked.
        """
        picked = self.picked
        if picked is None:
            picked = {file["name"]: bytes(file["content"]) for file in self.button.value}
        if not picked:
            raise UsageError("no photo was picked: pick some, then run this cell again")
        paths = [folder / Path(name).name for name in picked]
        for path, content in zip(paths, picked.values()):
            write_atomically(path, content)
        return paths
