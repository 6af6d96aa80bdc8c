"""`python -m ge_engine.evaluation.fork_server DESCRIPTOR` is the fork server, which begins to collect garbage
when it is ready: collecting takes a fifth of the time in which torch is imported, and finds nothing.
"""

import gc

gc.disable()

from ge_engine.evaluation.fork_server.server import main  # noqa: E402

if __name__ == "__main__":
    main()
