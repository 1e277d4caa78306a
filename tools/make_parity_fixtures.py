"""Make `tests/fixtures/parity` from recordings of DeOldify's own networks.

    python tools/make_parity_fixtures.py ../shared/parity

The folder holds, for `deep` and `wide`, the keys of the checkpoint (`deep_keys.tsv`) and one `deep.npz`: inputs and
outputs of the network (`input_176x176`, `output_176x176`, ...), a photo (`photo_in`) and what the image pipeline made
of it (`photo_out_rf11_raw`, `photo_out_rf11_merged`, ...), all with the weights of `tests/helpers/parity.py`.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from helpers.parity import FOLDER, PICTURES, SIZES

LARGEST = 400_000  # bytes a file


def make(source: Path) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for architecture in ("deep", "wide"):
        shutil.copyfile(source / f"{architecture}_keys.tsv", FOLDER / f"{architecture}_keys.tsv")
        recorded = np.load(source / f"{architecture}.npz")
        for size in SIZES:  # the same for both
            np.savez_compressed(FOLDER / f"noise_{size}.npz", noise=recorded[f"input_{size}"])
        outputs = {f"output_{size}": recorded[f"output_{size}"].astype(np.float16) for size in SIZES}
        np.savez_compressed(FOLDER / f"{architecture}.npz", **outputs)
        Image.fromarray(recorded["photo_in"]).save(FOLDER / "photo.png", optimize=True)
        sheet = np.concatenate([recorded[f"photo_out_{name}"] for name in PICTURES])
        Image.fromarray(sheet).save(FOLDER / f"{architecture}.png", optimize=True)
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.stat().st_size:7} {path.name}")
        assert path.stat().st_size <= LARGEST, f"{path} is too large"


if __name__ == "__main__":
    make(Path(sys.argv[1]))
