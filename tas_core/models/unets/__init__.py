"""The rivals of the paper, guided by text: two masks on a spectrogram that share a U-Net."""
