"""Make photos of people from videos: faces cut out, each person in train or in test (docs/baselines.md).

python scripts/extract_faces.py VIDEOS FACES       one video, or one folder of videos, in VIDEOS is one person
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.faces import faces

if __name__ == "__main__":
    script(faces)
