"""Metrics of predicted photos: of one image, of sets of images, and the feature networks behind the latter."""
