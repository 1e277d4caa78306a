"""Export a generator to ONNX, for browsers, phones and whatever else has no torch. docs/export.md says how to use it.

python scripts/export.py lite.onnx                        the generator that ships
python scripts/export.py lite.onnx --half                 its weights in float16: half the size
python scripts/export.py lite.onnx --int8                 large layers in 8 bit, others in float16: smaller still
python scripts/export.py mine.onnx --weights FILE         one that you trained, or DeOldify's own
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.export import export

if __name__ == "__main__":
    script(export)
