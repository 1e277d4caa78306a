"""Put colour on a large archive with several processes, on one machine or on a Ray cluster.

python scripts/colorize_ray.py -r photos/ colour/                     this machine
python scripts/colorize_ray.py -r photos/ colour/ --address auto      the cluster that this machine is part of

Needs `pip install "deoldify_lite[ray]"`. On a cluster, every machine has the package and sees both folders under the
same paths. Results, report and exit codes are those of colorize_dir.py, but for the order of the photos.
"""

from deoldify_lite.cli.common import script
from deoldify_lite.cli.ray import ray

if __name__ == "__main__":
    script(ray)
