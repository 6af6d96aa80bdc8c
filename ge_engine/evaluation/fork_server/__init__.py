"""The warm process that starts workers, and the engine's client of it."""
