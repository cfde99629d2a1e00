"""Pictures of binaural sound: :mod:`curves` makes arrays of sounds, :mod:`figures` makes pictures of arrays."""
