"""`python -m ge_engine.cli` is the command `ge`."""

from ge_engine.cli.app import main

main()
