#!/bin/sh
# Train the nine baselines (docs/baselines.md) and a generator by NoGAN, each on 6,000 photos (with repetition) at 64 px,
# and evaluate them beside each other and `lite`: the table of docs/comparison.md.
#
# sh tools/baselines.sh PHOTOS VALIDATION
#
# Into runs/nogan@6000, runs/pix2pix/CONFIG@6000 and runs/comparison; goes on where it was stopped. VALIDATION are photos
# or a tar that no training sees: a tar in PHOTOS is not trained on if its name has "valid" in it.
#
# What differs from the documents, for a machine without a GPU: the size, the number of photos, batches of 16 in 000, and
# EfficientNet-Lite2 in place of ResNet18 in 002, because its ImageNet weights were available.
set -e
photos=${1:?PHOTOS: a folder of photos or of tar archives}
validation=${2:?VALIDATION: photos or a tar archive to evaluate on}
here=$(dirname "$0")
scripts=$here/../scripts

# Photos: 2,450 with pixel loss, 1,600 with feature loss, 500 for the critic alone, 500 and 700 for both networks in the
# GAN phase. With so few, small batches: what counts is the number of steps.
python "$scripts/nogan.py" --preset lite --photos "$photos" --run runs/nogan@6000 --set "generator_stages=[
    {name: pixels, size: 64, batch: 8, lr: 7.0e-4, lr_encoder: 2.0e-4, pct_start: 0.2, epochs: 0.2, features: 0.0},
    {name: features, size: 64, batch: 8, lr: 4.0e-4, lr_encoder: 1.0e-4, pct_start: 0.1, epochs: 0.13}]" \
    --set "critic_stages=[{name: '64', size: 64, batch: 16, lr: 5.0e-4, epochs: 2.0}]" \
    --set generate.fraction=0.02 --set gan.size=64 --set gan.fraction=0.04 --set gan.save_every=10 \
    --set networks.padding=zeros --set networks.critic=patch --set balance=1 --set gan.critic_threshold=0.65 \
    --set gan.adversarial_ratio=0 --set gan.window=1 --set gan.ema=0.95 --set gan.chroma_weight=1 \
    --set postprocess.interpolation=0.5 --set postprocess.colorfulness=0.55

train() {
    config=$1
    shift
    python "$scripts/pix2pix.py" --config "$config" --photos "$photos" --size 64 --samples-seen 6000 "$@"
}
train pix2pix-lab
resnet18="unet-resnet18 pix2pix-resnet18 pix2pix-resnet18-lsgan pix2pix-resnet18-lsgan-long pix2pix-resnet18-l1x50"
for config in $resnet18; do
    train "$config" --set network=tf_efficientnet_lite2
done
train pix2pix-rgb --set batch=16
train pix2pix-rgb-batchnorm
train pix2pix-rgb-instancenorm

# All at the 64 px that they were trained at; lite as it comes.
equal="pix2pix-rgb $resnet18 pix2pix-lab pix2pix-rgb-batchnorm pix2pix-rgb-instancenorm"
set -- "NoGAN, before the GAN phase=runs/nogan@6000/generator/2-features/weights.safetensors" \
    "NoGAN=runs/nogan@6000/generator.safetensors"
for config in $equal; do
    set -- "$@" "$config=runs/pix2pix/$config@6000/generator.safetensors"
done
# VGG16 taught NoGAN, by its feature loss, and nobody else; EfficientNet-Lite0 taught none of them.
evaluate() { # exits with 1 where a photo had to be left out
    python "$scripts/evaluate.py" "$validation" --features tf_efficientnet_lite0 "$@" || [ $? -eq 1 ]
}
evaluate --weights "$@" --render-factor 4 --out runs/comparison/equal
set -- "$@" lite=lite
before=runs/lite/generator/6-128-chroma/weights.safetensors # where that was trained here
if [ -f "$before" ]; then
    evaluate --weights "lite, before the GAN phase=$before" lite --out runs/comparison/lite
else
    evaluate --weights lite --out runs/comparison/lite
fi
python "$scripts/compare.py" runs/comparison/equal/metrics.json runs/comparison/lite/metrics.json --apart lite \
    --apart "lite, before the GAN phase"

for named in "$@"; do
    shift
    set -- "$@" --compare "$named"
done
python "$here/make_pictures.py" "$@" --render-factor 4
