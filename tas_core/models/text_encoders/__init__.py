"""Frozen text encoders behind one protocol; each heavy library is imported only where it is needed."""
