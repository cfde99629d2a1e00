"""PESQ and STOI: each ear by its package, on speech that a synthesizer spoke, and what has no score."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.errors import InputError
from tas_core.evaluation.metrics import pesq_mos, stoi_score
from tas_core.evaluation.metrics.speech import SPEECH_PACKAGES, check_speech_packages

RATE = 16_000
VOICE = Path(__file__).resolve().parents[3] / "examples" / "voice.wav"


def needs(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{' and '.join(missing)} not installed: pip install 'tas[eval]'")


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A voice with noise, less of it in the right ear; and the voice."""
    voice, rate_hz = soundfile.read(VOICE, frames=2 * RATE)
    assert rate_hz == RATE
    clean = np.stack([voice, 0.5 * voice])
    level = np.array([[0.05], [0.002]])
    return clean + level * np.random.default_rng(0).standard_normal(clean.shape), clean


@needs("pesq")
def test_pesq_is_the_mean_of_the_ears(pair: tuple[np.ndarray, np.ndarray]) -> None:
    from pesq import pesq

    output, truth = pair
    ears = [pesq(RATE, truth[ear], output[ear], "wb") for ear in range(2)]
    assert ears[0] < ears[1] - 0.3
    assert pesq_mos(output, truth, RATE) == pytest.approx(np.mean(ears), abs=1e-6)
    # ITU-T P.862.2: the most that wide band gives.
    assert pesq_mos(truth, truth, RATE) == pytest.approx(4.644, abs=1e-3)


@needs("pesq")
def test_where_pesq_has_no_score(pair: tuple[np.ndarray, np.ndarray]) -> None:
    output, truth = pair
    assert math.isnan(pesq_mos(output, 0 * truth, RATE))
    assert math.isnan(pesq_mos(output[:, :2000], truth[:, :2000], RATE))
    assert math.isnan(pesq_mos(output * [[1.0], [0.0]], truth, RATE))
    with pytest.raises(ValueError, match="8000 and 16000 Hz, got 48000"):
        pesq_mos(output, truth, 48_000)


@needs("pesq")
def test_pesq_of_long_signals_is_that_of_their_parts() -> None:
    """More than fifty bursts end the package's program by a signal if it gets them at once."""
    from pesq import pesq

    rng = np.random.default_rng(1)
    size = 31 * RATE
    truth = 0.3 * rng.standard_normal(size) * (np.arange(size) / RATE % 0.42 < 0.21)
    output = truth + 0.01 * rng.standard_normal(size)
    edges = [0, 165_333, 330_667, size]
    parts = [pesq(RATE, truth[a:b], output[a:b], "wb") for a, b in zip(edges, edges[1:], strict=False)]
    found = pesq_mos(np.stack([output, output]), np.stack([truth, truth]), RATE)
    assert found == pytest.approx(np.mean(parts), abs=1e-6)


@needs("pystoi")
def test_stoi_is_the_mean_of_the_ears(pair: tuple[np.ndarray, np.ndarray]) -> None:
    from pystoi import stoi

    output, truth = pair
    ears = [stoi(truth[ear], output[ear], RATE) for ear in range(2)]
    assert ears[0] < ears[1] - 0.05
    assert stoi_score(output, truth, RATE) == pytest.approx(np.mean(ears), abs=1e-9)
    assert stoi_score(0.1 * truth, truth, RATE) == pytest.approx(1, abs=1e-6)


@needs("pystoi")
def test_where_stoi_has_no_score(pair: tuple[np.ndarray, np.ndarray]) -> None:
    output, truth = pair
    for size in (100, 2000, 5000):
        assert math.isnan(stoi_score(output[:, :size], truth[:, :size], RATE))
    assert math.isnan(stoi_score(output, truth * [[1.0], [0.0]], RATE))
    assert 0 <= stoi_score(0 * output, truth, RATE) < 0.1


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SPEECH_PACKAGES:
        with monkeypatch.context() as patch:
            for other in SPEECH_PACKAGES:
                patch.setitem(__import__("sys").modules, other, None if other == name else np)
            with pytest.raises(
                InputError, match=f"need the packages pesq and pystoi; {name} cannot be loaded"
            ) as caught:
                check_speech_packages()
        assert caught.value.remedy == "speech_packages"
