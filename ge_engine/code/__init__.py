"""Helpers of the rooms genome, entry, reply, patch and changes: syntax trees, segments, names."""
