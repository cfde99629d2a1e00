"""Sounds of one source each and the catalogue of their names: instruments, voices, recordings."""
