"""Language models: what answers a run's prompts. Each module is one way, imported only when it is chosen."""
