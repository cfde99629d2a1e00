"""Sound files in and out, block by block, and the samples in them: resampling, levels."""
