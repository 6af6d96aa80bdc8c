"""A model file as text: parsed, cut into blocks, patched, compared. Nothing here runs it."""
