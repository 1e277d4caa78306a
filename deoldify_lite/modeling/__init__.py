"""Networks only: no files besides weights, no training."""
