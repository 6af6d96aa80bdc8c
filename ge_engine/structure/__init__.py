"""Structural moves: changes of a block's widths, depth and topology, read off its syntax tree."""
