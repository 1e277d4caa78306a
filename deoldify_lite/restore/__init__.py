"""Restores photos with a trained restorer. Never imports fastai."""
