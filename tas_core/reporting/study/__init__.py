"""Listening studies: on which side people hear each object.

:mod:`tas_core.reporting.study.page` makes one HTML page out of the files of several systems, and a key that stays with
whoever runs the study; :mod:`tas_core.reporting.study.scoring` turns the key and the listeners' answers into
accuracies.
"""
