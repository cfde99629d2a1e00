"""TASBench on disk: layout, scenes and captions, simulation, conversion of annotations, checks, statistics."""
