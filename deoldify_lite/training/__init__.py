"""The NoGAN pipeline: data, losses, the stages, the GAN phase."""

import warnings

warnings.filterwarnings("ignore", message=".torch.jit.script. is deprecated")  # fastai's, not the user's to mend
