"""Language models: what answers a run's prompts. Each module is one way, imported only when it is chosen.

Decoding shares the cores with training. By default OpenMP's threads spin while they wait for each other,
which makes a step 5 to 10 times slower once there are more threads than cores; so they are told to sleep.
OpenMP reads this when torch is imported: `ge_plugins.models` imports this package before that.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
