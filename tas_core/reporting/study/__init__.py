"""Listening studies: the page on which people say where they hear each object, its key, and the scores."""
