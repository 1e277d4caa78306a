"""Colorize photos on a page in the browser.

python scripts/app.py                           http://127.0.0.1:7860, for this computer only
python scripts/app.py --host 0.0.0.0            for others, too
python scripts/app.py --weights runs/nogan/generator.safetensors
"""

from deoldify_lite.app.server import serve
from deoldify_lite.cli import script

if __name__ == "__main__":
    script(serve)
