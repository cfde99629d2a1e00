"""Attacks on everything that the program reads, door by door; ``python -m tools.fuzz`` runs them."""
