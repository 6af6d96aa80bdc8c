"""ge_engine evolves a PyTorch model file, one block at a time, guided by a language model."""

__version__ = "0.1.0"
