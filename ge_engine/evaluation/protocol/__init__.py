"""What the engine and its workers say to each other: JSON, raw numbers and file descriptors."""
