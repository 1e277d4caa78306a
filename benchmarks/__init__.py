"How fast this machine colorizes and trains, with how much memory: the modules behind `benchmarks/run.py`."
