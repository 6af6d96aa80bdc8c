"""Language models: what answers a run's prompts. Each module is one way; none is imported before it is chosen."""
