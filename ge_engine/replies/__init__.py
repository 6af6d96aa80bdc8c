"""What a language model's reply meant: code found, repaired, and matched to the block that was asked for."""
