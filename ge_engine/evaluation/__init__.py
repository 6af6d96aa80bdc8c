"""Scores of genomes, by a training, a program or a function, in processes that candidates cannot leave."""
