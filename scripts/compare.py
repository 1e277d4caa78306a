"""Write the comparison table of the docs from the scores that scripts/evaluate.py measured, and from nothing else.

python scripts/compare.py runs/evaluation/metrics.json [MORE...]     into docs/comparison.md
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.compare import compare

if __name__ == "__main__":
    script(compare)
