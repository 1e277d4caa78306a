"""Build the site that colorizes in the visitor's browser. docs/web.md says how to serve it.

python scripts/build_web.py site/                         ONNX Runtime Web is downloaded once
python scripts/build_web.py site/ --runtime onnxruntime-web-1.30.0.tgz     where there is no connection
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.web import web

if __name__ == "__main__":
    script(web)
