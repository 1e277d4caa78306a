"Counts how often work was begun. A module without torch, since Ray gives the count a process of its own."

from collections import Counter


class Attempts:
    "An actor: how often each batch was begun. Ray gives a batch whose actor died to another one, for ever."

    def __init__(self):
        self.begun = Counter()

    def begin(self, batch: str) -> int:
        self.begun[batch] += 1
        return self.begun[batch]
