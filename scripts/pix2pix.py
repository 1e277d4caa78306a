"""Train one of the systems that this project is compared with (docs/baselines.md).

python scripts/pix2pix.py --config pix2pix-lab --photos PATH       as its document says, into runs/pix2pix/pix2pix-lab
python scripts/pix2pix.py --config pix2pix-lab --show              its hyperparameters, and where each is stated
python scripts/pix2pix.py --config unet-resnet18 --photos PATH --samples-seen 48000 --size 128
python scripts/pix2pix.py --config 004-instance --photos PATH --set activation=mish --set pixel=l2
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.pix2pix import pix2pix

if __name__ == "__main__":
    script(pix2pix)
