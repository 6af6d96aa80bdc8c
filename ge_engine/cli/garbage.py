"""Garbage is collected less often in the command's process. It is imported before what is large.

With Python's own threshold the collections during imports take an eighth of a command's start, and find
nothing.
"""

import gc

gc.set_threshold(10_000)
