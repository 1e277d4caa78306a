"""Sum up what people thought of the results on the page.

python scripts/feedback.py              of feedback/
python scripts/feedback.py FOLDER
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.feedback import feedback

if __name__ == "__main__":
    script(feedback)
