"""Scores of spatial quality: of models, floors and ceilings over a data set, and of anybody's files.

:func:`tas_core.evaluation.runner.evaluate` compares systems,
:func:`tas_core.evaluation.files.evaluate_files` scores files.
"""
