"""The main job on many files: which they are, what their outputs are called, and processes that make them."""
