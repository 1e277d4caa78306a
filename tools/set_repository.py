"""Write where this repository is published into all that names it: `REPOSITORY`, badges, notebooks.

python tools/set_repository.py https://github.com/OWNER/NAME
"""

import re
from pathlib import Path
from typing import Annotated

import typer

from deoldify_lite import REPOSITORY
from deoldify_lite.cli.common import script
from deoldify_lite.errors import UsageError
from deoldify_lite.files import write_atomically

ROOT = Path(__file__).parent.parent
GITHUB = "https://github.com/"


def main(address: Annotated[str, typer.Argument(help=f"{GITHUB}OWNER/NAME")]) -> None:
    """Replace the address of this repository in the package, the README and the notebooks."""
    address = address.removesuffix("/").removesuffix(".git")
    if not re.fullmatch(rf"{GITHUB}[\w.-]+/[\w.-]+", address):
        raise UsageError(f"{address!r} is not an address like {GITHUB}OWNER/NAME")
    for path in (ROOT / "deoldify_lite/__init__.py", ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))):
        before = path.read_text(encoding="utf-8")
        if (after := moved(before, REPOSITORY, address)) != before:
            write_atomically(path, after)
            typer.echo(path)


def moved(text: str, old: str, new: str) -> str:
    "`text` with one repository's address instead of another's, in Colab's links as well."
    for prefix in (GITHUB, "https://colab.research.google.com/github/"):
        links = re.escape(old.replace(GITHUB, prefix)) + r"(?![\w-])"
        text = re.sub(links, new.replace(GITHUB, prefix), text)
    return text


if __name__ == "__main__":
    script(main)
