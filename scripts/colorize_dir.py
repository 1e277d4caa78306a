"""Put colour on a photo or a folder of photos.

python scripts/colorize_dir.py photos/ colour/           a folder
python scripts/colorize_dir.py -r photos/ colour/        with its subfolders
python scripts/colorize_dir.py grandmother.jpg colour/   one photo
"""

from deoldify_lite.cli.colorize import colorize
from deoldify_lite.cli.common import script

if __name__ == "__main__":
    script(colorize)
