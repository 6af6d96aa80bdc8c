"""Trainings on other machines: the engine hands jobs to agents there, and takes each report once."""
