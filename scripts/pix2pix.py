"""Train one of the systems that this project is compared with (docs/baselines.md).

python scripts/pix2pix.py --recipe 003 --photos PATH               as its document says, into runs/pix2pix/003
python scripts/pix2pix.py --recipe 003 --show                      its hyperparameters, and where each comes from
python scripts/pix2pix.py --recipe 002-lsgan-20 --photos PATH --presentations 48000 --size 128
python scripts/pix2pix.py --recipe 004-instance --photos PATH --set activation=mish --set pixel=l2
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.pix2pix import pix2pix

if __name__ == "__main__":
    script(pix2pix)
