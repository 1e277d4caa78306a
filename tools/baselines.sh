#!/bin/sh
# Train the nine baselines (docs/baselines.md) and a generator by NoGAN, each on 6,000 presentations of photos at 64 px,
# and judge them beside one another and `lite`: the table of docs/comparison.md.
#
# sh tools/baselines.sh PHOTOS VALIDATION
#
# Into runs/nogan@6000, runs/pix2pix/RECIPE@6000 and runs/comparison; goes on where it was stopped. VALIDATION are photos
# or a tar that no training sees: a tar in PHOTOS is not trained on if its name has "valid" in it.
#
# What differs from the documents, for a machine without a GPU: the size, the number of presentations, batches of 16 in
# 000, and EfficientNet-Lite2 in the place of ResNet18 in 002, because its ImageNet weights could be had.
set -e
photos=${1:?PHOTOS: a folder of photos or of tar archives}
validation=${2:?VALIDATION: photos or a tar archive to judge on}
here=$(dirname "$0")
scripts=$here/../scripts

# Presentations: 2,450 on pixels, 1,600 on features, 500 to the critic alone, 500 and 700 to both networks in turns. With
# so few, small batches: what counts is the number of steps.
python "$scripts/nogan.py" --preset lite --photos "$photos" --run runs/nogan@6000 --set "generator_stages=[
    {name: pixels, size: 64, batch: 8, lr: 7.0e-4, lr_encoder: 2.0e-4, pct_start: 0.2, epochs: 0.2, features: 0.0},
    {name: features, size: 64, batch: 8, lr: 4.0e-4, lr_encoder: 1.0e-4, pct_start: 0.1, epochs: 0.13}]" \
    --set "critic_stages=[{name: '64', size: 64, batch: 16, lr: 5.0e-4, epochs: 2.0}]" \
    --set generate.share=0.02 --set gan.size=64 --set gan.share=0.04 --set gan.save_every=10 \
    --set gan.vivid=1.0 --set finish.blend=0.5 --set finish.statistics=0 --set finish.colourfulness=0.55

train() {
    recipe=$1
    shift
    python "$scripts/pix2pix.py" --recipe "$recipe" --photos "$photos" --size 64 --presentations 6000 "$@"
}
train 003
for recipe in 002-unet-30 002-vanilla-20 002-lsgan-20 002-lsgan-30 002-low-lambda-20; do
    train "$recipe" --set network=tf_efficientnet_lite2
done
train 000 --set batch=16
train 004-batch
train 004-instance

# All at the 64 px that they were trained at; lite as it comes.
equal="000 002-unet-30 002-vanilla-20 002-lsgan-20 002-lsgan-30 002-low-lambda-20 003 004-batch 004-instance"
set -- "NoGAN, before the GAN phase=runs/nogan@6000/generator/2-features/weights.safetensors" \
    "NoGAN=runs/nogan@6000/generator.safetensors"
for recipe in $equal; do
    set -- "$@" "$recipe=runs/pix2pix/$recipe@6000/generator.safetensors"
done
# VGG16 taught NoGAN, by its feature loss, and nobody else; EfficientNet-Lite0 taught none of them.
judge() { # exits with 1 where a photo had to be left out
    python "$scripts/evaluate.py" "$validation" --features tf_efficientnet_lite0 "$@" || [ $? -eq 1 ]
}
judge --weights "$@" --render-factor 4 --out runs/comparison/equal
set -- "$@" lite=lite
before=runs/lite/generator/6-128-vivid/weights.safetensors # where that was trained here
if [ -f "$before" ]; then
    judge --weights "lite, before the GAN phase=$before" lite --out runs/comparison/lite
else
    judge --weights lite --out runs/comparison/lite
fi
python "$scripts/compare.py" runs/comparison/equal/metrics.json runs/comparison/lite/metrics.json --apart lite \
    --apart "lite, before the GAN phase"

for named in "$@"; do
    shift
    set -- "$@" --compare "$named"
done
python "$here/make_pictures.py" "$@" --render-factor 4
