"""Files that are cut off or damaged at random, of every format that is opened: each is a photo or a `BadPhoto`.

The same cases in every run. For more of them: FUZZ_CASES=2000 pytest tests/photo/test_fuzz.py
"""

import os
import zlib

import numpy as np
import pytest

from deoldify_lite.photo import FORMATS, BadPhoto, open_photo, output_name, save_photo
from helpers.damage import KINDS, PLAIN, damaged, whole

CASES = int(os.environ.get("FUZZ_CASES", 30))  # of each kind
MAX_PIXELS = 200_000  # a wrong size in a damaged file may ask for as much


def test_every_format_is_among_them():
    opened = {kind[1] for kind in KINDS.values()} - {"MPO"}
    assert opened == {*FORMATS, "HEIF", "JXL"}


# The command would show warnings that are not Pillow's. A text file that is found open is another test's.
@pytest.mark.filterwarnings("error", "ignore:::PIL", "ignore:unclosed file <_io.TextIOWrapper:ResourceWarning")
@pytest.mark.parametrize("kind", [*KINDS, *PLAIN])
def test_damaged_at_random_it_is_a_photo_or_a_bad_one(tmp_path, monkeypatch, kind):
    """... and if it is a photo it can be written, with all that was found in it, and read again."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # only slow
    source = tmp_path / kind
    target = tmp_path / f"to {output_name(kind)}"
    data = PLAIN[kind] if kind in PLAIN else whole(kind)
    source.write_bytes(data)
    assert open_photo(source).size
    for case in range(CASES):
        random = np.random.default_rng([zlib.crc32(kind.encode()), case])
        source.write_bytes(damaged(data, random))
        try:
            photo = open_photo(source, MAX_PIXELS)
        except BadPhoto as error:
            assert str(error) and "\n" not in str(error), case
            continue
        assert photo.luma.ndim == 2 and photo.luma.dtype in (np.uint8, np.uint16), case
        assert photo.alpha is None or (photo.alpha.shape, photo.alpha.dtype) == (photo.luma.shape, photo.luma.dtype)
        color = photo.merge(np.full((2, 2, 2), 0.1))
        try:
            save_photo(color, photo, target)
        except BadPhoto as error:  # too long a side for its format
            assert "holds no picture" in str(error), case
            continue
        assert open_photo(target).size == photo.size, case
