"""Language models: what answers a run's prompts. Each module is one way, imported only when it is chosen.

Decoding shares the cores with training. By default OpenMP's threads spin while they wait for each other,
which makes a step 5 to 10 times slower once there are more threads than cores; so they are told to sleep.
OpenMP reads this when torch is imported: `ge_plugins.models` imports this package before that.
"""

import os
import sys
import warnings

TOO_LATE = "torch" in sys.modules and "OMP_WAIT_POLICY" not in os.environ
"""Whether torch was imported before this package could say how its threads wait, as in a notebook."""
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def warn_of_spinning() -> None:
    """One line where a language model on the CPU will be slow for it."""
    if TOO_LATE:
        warnings.warn(
            "torch was imported before ge_engine, so its threads spin while they wait: a language model on "
            "the CPU answers several times slower beside trainings. Set OMP_WAIT_POLICY=PASSIVE before, or "
            "import ge_engine.llm before torch.",
            stacklevel=2,
        )
