"""Colorize photos on a page in the browser.

python scripts/app.py                           http://127.0.0.1:7860, for this computer only
python scripts/app.py --host 0.0.0.0            for others, too
python scripts/app.py --weights runs/nogan/generator.safetensors
"""

from deoldify_lite.cli.app import app
from deoldify_lite.cli.common import script

if __name__ == "__main__":
    script(app)
