"""Measures of spatial sound: pure functions of signals, of azimuths, and of scores.

Signals have the ears on the second-last axis and time on the last; ear 0 is left (:mod:`tas_core.conventions`).
"""

from tas_core.acoustics.level_difference import (
    SILENCE_DBFS,
    spl_difference_curve_db,
    spl_difference_db,
    spl_of_energies_db,
)
from tas_core.evaluation.metrics.azimuth import object_azimuth_deg, object_azimuth_spans_deg
from tas_core.evaluation.metrics.calibration import (
    ReliabilityBin,
    brier_score,
    clip_bootstrap,
    expected_calibration_error,
    reliability_curve,
    roc_auc,
)
from tas_core.evaluation.metrics.cited import binaqual, gcc_itd_error_us, mrstft_error
from tas_core.evaluation.metrics.confidence import Interval, bootstrap_interval, paired_difference
from tas_core.evaluation.metrics.control import center_spl_db, mirror_db, mono_sum_error_db, silence_floor_db
from tas_core.evaluation.metrics.objects import azimuth_error_deg, rank_audio, rank_object, side_of, swap_accuracy
from tas_core.evaluation.metrics.paper import (
    LONG_STFT,
    SHORT_STFT,
    PaperMetrics,
    StftSettings,
    amp_error,
    env_error,
    mono_mono,
    paper_metrics,
    peak_normalised,
    pha_error,
    snr_db,
    stft_error,
    wav_error_x1000,
)
from tas_core.evaluation.metrics.spatial import ic_error, ild_error_db, interaural_coherence, itd_error_us
from tas_core.evaluation.metrics.speech import pesq_mos, stoi_score

__all__ = [
    "LONG_STFT",
    "SHORT_STFT",
    "SILENCE_DBFS",
    "Interval",
    "PaperMetrics",
    "ReliabilityBin",
    "StftSettings",
    "amp_error",
    "azimuth_error_deg",
    "binaqual",
    "bootstrap_interval",
    "brier_score",
    "center_spl_db",
    "clip_bootstrap",
    "env_error",
    "expected_calibration_error",
    "gcc_itd_error_us",
    "ic_error",
    "ild_error_db",
    "interaural_coherence",
    "itd_error_us",
    "mirror_db",
    "mono_mono",
    "mono_sum_error_db",
    "mrstft_error",
    "object_azimuth_deg",
    "object_azimuth_spans_deg",
    "paired_difference",
    "paper_metrics",
    "peak_normalised",
    "pesq_mos",
    "pha_error",
    "rank_audio",
    "rank_object",
    "reliability_curve",
    "roc_auc",
    "side_of",
    "silence_floor_db",
    "snr_db",
    "spl_difference_curve_db",
    "spl_difference_db",
    "spl_of_energies_db",
    "stft_error",
    "stoi_score",
    "swap_accuracy",
    "wav_error_x1000",
]
