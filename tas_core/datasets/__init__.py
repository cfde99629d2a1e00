"""Scenes to learn from and to be judged on: sources, TASBench on disk, scenes mixed on the fly."""
