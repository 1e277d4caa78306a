"""`deoldify-lite faces`: photos of faces from videos."""

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def faces(
    videos: Annotated[Path, typer.Argument(metavar="VIDEOS", help="Folder of videos.")],
    target: Annotated[Path, typer.Argument(metavar="FACES", help="Where the faces go: train/PERSON and test/PERSON.")],
    every: Annotated[float, typer.Option(min=0, help="Seconds from one examined frame to the next.")] = 1.0,
    margin: Annotated[float, typer.Option(min=0, help="Space around the face, as a multiple of its side.")] = 0.3,
    test: Annotated[float, typer.Option(min=0, max=1, help="Fraction of the people who are in test.")] = 0.1,
    smallest: Annotated[int, typer.Option(min=16, help="Side in pixels of the smallest face that counts.")] = 64,
) -> None:
    """Cut the largest face out of frames of videos. Finished videos are skipped; prints the folder."""
    from tqdm import tqdm

    from ..baselines.faces import assign_sides, extract_faces, find_people

    counts = Counter()
    total = sum(map(len, find_people(videos).values()))
    results = extract_faces(videos, target, every, margin, smallest)
    for result in tqdm(results, total=total, unit="video", disable=None):
        counts.update(faces=result.faces, skipped=result.skipped, failed=bool(result.error), videos=1)
        if result.error:
            tqdm.write(f"{videos / result.video}: {result.error}", file=sys.stderr)
        elif not result.skipped and not result.faces:
            tqdm.write(f"{videos / result.video}: no face in {result.frames} frames", file=sys.stderr)
    sides = Counter(assign_sides(target, test).values())
    typer.echo(target)
    summary = f"{counts['videos']} videos, {counts['skipped']} of them done before, {counts['failed']} failed"
    summary += f"; {counts['faces']} new faces; people in train: {sides['train']}, in test: {sides['test']}"
    typer.echo(summary, err=True)
    if counts["failed"]:
        raise typer.Exit(1)
