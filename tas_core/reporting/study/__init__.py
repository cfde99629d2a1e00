"""Listening studies: on which side people hear each object.

:mod:`tas_core.reporting.study.page` makes one HTML page out of the files of several systems, and a key that stays with
whoever runs the study; :mod:`tas_core.reporting.study.scoring` turns the key and the listeners' answers into accuracies.
"""

from tas_core.reporting.study.page import StudyReport, make_study
from tas_core.reporting.study.records import Answers, Key, read_answers, read_key
from tas_core.reporting.study.scoring import Accuracy, StudyScores, SystemScore, score_study

__all__ = [
    "Accuracy",
    "Answers",
    "Key",
    "StudyReport",
    "StudyScores",
    "SystemScore",
    "make_study",
    "read_answers",
    "read_key",
    "score_study",
]
