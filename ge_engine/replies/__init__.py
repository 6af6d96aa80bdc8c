"""What a language model's reply meant: its code found, mended and matched to the block that was asked for."""
