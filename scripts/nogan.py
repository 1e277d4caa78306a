"""Train a colorizer by the NoGAN schedule.

python scripts/nogan.py --photos PATH                    all stages, preset lite, into runs/nogan
python scripts/nogan.py --stage critic                   one stage of that run
python scripts/nogan.py --preset smoke --photos PATH --run /tmp/smoke
python scripts/nogan.py --set gan.lr=2e-5 --cycles 3    change the schedule, add cycles
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.nogan import nogan

if __name__ == "__main__":
    script(nogan)
