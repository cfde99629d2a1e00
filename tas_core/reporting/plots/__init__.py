"""Pictures of binaural sounds and of data sets: curves from sounds, figures from curves, files from figures."""
