"""A model applied to a mono signal of any length under a timeline; arrays only."""
