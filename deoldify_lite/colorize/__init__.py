"""Using a generator: no fastai here, and nothing that trains."""
