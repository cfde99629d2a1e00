"""Readers and writers of timelines, a module for each kind of file; :mod:`tas_core.timeline.files` chooses one."""
