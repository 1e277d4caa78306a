"""Colorizes photos with a trained generator. Never imports fastai."""
