"""The page as a Hugging Face Space: beside this file lies the folder `deoldify_lite` of the repository."""

from pathlib import Path

from deoldify_lite.cli.app import app

STORAGE = Path("/data")  # where a Space with persistent storage has it; elsewhere feedback ends with the Space

app(host="0.0.0.0", feedback=(STORAGE if STORAGE.is_dir() else Path()) / "feedback")
