"""The process that runs one genome."""
