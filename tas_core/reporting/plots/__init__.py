"""Pictures of binaural sound.

:mod:`curves` makes arrays of sounds, and :mod:`figures` pictures of arrays: :mod:`panels` of curves on a :mod:`page`.
"""
