"""`deoldify-lite models`: the generators that have a name."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from ..models import MODELS, RESTORERS, Model


def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    "List the generators that --weights takes by name; the last ones restore photos and put no colour on them."
    known = [*MODELS.values(), *RESTORERS.values()]
    if as_json:
        typer.echo(json.dumps([about(model) for model in known], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "network", "render\nfactor", "trained on; licence; model card", "file", box=None)
    for column in table.columns:
        column.overflow = "fold"  # addresses and paths in full
    for model in known:
        network = model.architecture + (f" on {model.encoder}" if model.encoder else "")
        where = "in the package" if model.ships else f"{model.path}{'' if model.path.is_file() else ' (missing)'}"
        more = f"{model.trained_on}; {model.licence}; {model.card}"
        table.add_row(model.name, network, str(model.render_factor or ""), more, where)
    Console().print(table)


def about(model: Model) -> dict:
    "All that is known of a model, with the place of its file and whether that is there."
    return asdict(model) | {"path": str(model.path), "present": model.path.is_file()}
