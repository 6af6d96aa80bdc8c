"""The `ge` command. One file a command; nothing here decides, everything calls the rooms above."""

from ge_engine.cli.app import main

__all__ = ["main"]
