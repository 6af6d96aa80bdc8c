"""Build a network and run one step of it, without a training."""
