"""Which photos a protocol takes."""

from pathlib import Path

import pytest

from deoldify_lite.evaluate.protocol import Protocol, choose_protocol
from deoldify_lite.evaluate.references import Reference


def test_protocols():
    references = [Reference(f"n0{i % 3}/ILSVRC2012_val_{i:08}.JPEG", Path("x")) for i in range(6000)]
    references = sorted(references, key=lambda reference: reference.name)
    chosen = choose_protocol("val5k").choose(references)
    assert [int(t.name[-13:-5]) for t in chosen] == list(range(5000)), "by file name, whatever the folders"
    assert choose_protocol().choose(references) == references
    limited = choose_protocol(limit=3).choose(references)
    assert [references.index(t) for t in limited] == [0, 2000, 4000]
    assert choose_protocol(limit=3).choose(references[:2]) == references[:2]
    assert [references.index(t) for t in choose_protocol(limit=3).choose(references[:5])] == [0, 1, 3], "evenly spread"
    assert choose_protocol(size=128) == Protocol("all", 128)
    for wrong in ({"size": 128}, {"limit": 10}):
        with pytest.raises(ValueError, match="5000 photos at 256"):
            choose_protocol("val5k", **wrong)
    with pytest.raises(ValueError, match="unknown"):
        choose_protocol("ctest10k")
