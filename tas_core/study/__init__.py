"""Listening studies: on which side people hear each object.

:mod:`tas_core.study.page` makes one HTML page out of the files of several systems, and a key that stays with
whoever runs the study; :mod:`tas_core.study.scoring` turns the key and the listeners' answers into accuracies.
"""

from tas_core.study.page import StudyReport, make_study
from tas_core.study.records import CENTER_LIMIT_DEG, Answers, Key, Place, place_of, read_answers, read_key
from tas_core.study.scoring import Accuracy, StudyScores, SystemScore, score_study

__all__ = [
    "CENTER_LIMIT_DEG",
    "Accuracy",
    "Answers",
    "Key",
    "Place",
    "StudyReport",
    "StudyScores",
    "SystemScore",
    "make_study",
    "place_of",
    "read_answers",
    "read_key",
    "score_study",
]
