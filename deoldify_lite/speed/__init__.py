"How fast, and with how much memory: the parts of `scripts/bench.py`. Each gives rows of one table."
