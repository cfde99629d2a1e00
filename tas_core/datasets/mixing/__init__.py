"""Scenes mixed on the fly for training: banks of stems, phrases and rooms, draws, composition, packing."""
