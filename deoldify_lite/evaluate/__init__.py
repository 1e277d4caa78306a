"""Scores colorization methods on photos whose colours are known: metrics, records, tables and a report."""
