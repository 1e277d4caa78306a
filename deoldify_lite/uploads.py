"Photos that the reader of a notebook picks: with a button in Jupyter, in a dialog in Colab."

import sys
from pathlib import Path

from .files import write_atomically


class Uploads:
    "Asks for photos as soon as it is made; `save` takes what was picked."

    def __init__(self):
        if "google.colab" in sys.modules:
            from google.colab import files

            self.picked = files.upload()  # waits until they are there
            return
        from IPython.display import display
        from ipywidgets import FileUpload

        self.picked = None
        self.button = FileUpload(accept="image/*", multiple=True)
        display(self.button)

    def save(self, folder: Path) -> list[Path]:
        """Write the photos into `folder`, under their own names. Returns their paths.

        Raises:
            ValueError: none was picked.
        """
        picked = self.picked
        if picked is None:
            picked = {file["name"]: bytes(file["content"]) for file in self.button.value}
        if not picked:
            raise ValueError("no photo was picked: pick some, then run this cell again")
        paths = [folder / Path(name).name for name in picked]
        for path, content in zip(paths, picked.values()):
            write_atomically(path, content)
        return paths
