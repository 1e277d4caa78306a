"""Record how good the shipped generators are, after they have changed: writes `tests/fixtures/quality.json`.

    python tools/record_quality.py

LPIPS needs AlexNet's weights: `alexnet_features.safetensors` in $DEOLDIFY_LITE_WEIGHTS, or a network to fetch them by.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from deoldify_lite.metrics.image import Lpips
from deoldify_lite.models import shipped
from helpers import quality


def record() -> None:
    lpips = Lpips()
    names = sorted(model.name for model in shipped())
    records = {name: quality.measure(quality.colorized(name), lpips) for name in names}
    quality.RECORDS.write_text(json.dumps(records, indent=2) + "\n")
    print(quality.RECORDS.read_text())


if __name__ == "__main__":
    record()
