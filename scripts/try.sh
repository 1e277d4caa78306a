#!/bin/sh
# Set up and colorize: three sample photos, and the photo or folder that is given.
#
#   sh scripts/try.sh                    -> colorized/samples
#   sh scripts/try.sh ~/old_photos       -> colorized/samples and colorized/old_photos, subfolders included
#   sh scripts/try.sh ~/grandmother.jpg  -> colorized/samples and colorized/grandmother.jpg
set -eu
input=${1-}
case $input in "" | /*) ;; *) input=$PWD/$input ;; esac
extras=""
. "$(dirname "$0")/setup.sh"

.venv/bin/deoldify-lite samples colorized/black_and_white >/dev/null
.venv/bin/deoldify-lite colorize colorized/black_and_white colorized/samples
if [ -d "$input" ]; then
    .venv/bin/deoldify-lite colorize -r "$input" "colorized/$(basename "$(cd "$input" && pwd)")"
elif [ -n "$input" ]; then
    .venv/bin/deoldify-lite colorize "$input" colorized
fi
