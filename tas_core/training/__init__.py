"""One training run: batches, optimisation, averages, exact resume."""
