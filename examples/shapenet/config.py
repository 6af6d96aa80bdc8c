"""Its sizes."""

STEM = 24
STAGES = [(32, 1), (48, 2)]
HIDDEN = 64
