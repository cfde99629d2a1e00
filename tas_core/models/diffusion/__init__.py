"""Diffusion in three parts that know no architecture: schedules, what a network predicts, and samplers."""
