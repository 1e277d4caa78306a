"""The NoGAN pipeline: data, losses, the stages, the GAN phase."""
