"""Networks, their text encoders and diffusion, and checkpoints.

Tensors in, tensors out; no audio files, no timelines.
"""
