"""How good is a colorized picture? Metrics."""
