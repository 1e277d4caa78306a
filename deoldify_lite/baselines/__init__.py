"The pix2pix systems of four documents, which NoGAN is compared with: docs/baselines.md."
