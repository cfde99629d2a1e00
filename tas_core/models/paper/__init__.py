"""The family of the paper: a waveform network that fuses one text vector with the sound and predicts noise."""
