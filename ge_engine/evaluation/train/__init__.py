"""One training: the script, and the parts that it names."""
