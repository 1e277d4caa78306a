"""Score colorizers on photos whose colours are known: metrics, plots, predictions side by side, best and worst photos.

python scripts/evaluate.py PHOTOS --weights lite runs/nogan/generator.safetensors --out runs/evaluation
python scripts/evaluate.py PHOTOS --weights before=runs/nogan/generator/4-96/weights.safetensors --weights after=lite
python scripts/evaluate.py PHOTOS --results theirs=FOLDER     pictures that another program made
python scripts/evaluate.py IMAGENET_VAL --protocol val5k      as the literature does
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.evaluate import evaluate

if __name__ == "__main__":
    script(evaluate)
