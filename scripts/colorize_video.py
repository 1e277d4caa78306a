"""Put steady colour on videos: `deoldify-lite video`.

python scripts/colorize_video.py film.mp4 film_in_colour.mp4
python scripts/colorize_video.py -r films/ films_in_colour/
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.video import video

if __name__ == "__main__":
    script(video)
