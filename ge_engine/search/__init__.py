"""The search: a run's session, a child's life, schedules, verdicts, selection, islands and termination."""
