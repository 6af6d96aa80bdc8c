"""A process that loads a user's function once, and forks for each of its evaluations."""
