from __future__ import annotations

import sys

import numpy as np
import pytest

from tas_core.datasets.sources.clips import finish_clip, run_synthesizer, source_rng
from tas_core.errors import TasError


def test_a_clip_is_cut_centred_and_at_its_peak() -> None:
    samples = 0.2 + 0.1 * np.sin(np.arange(8000) / 5).astype(np.float32)
    clip = finish_clip(samples, 16000, 16000, 0.25)
    assert clip is not None
    assert clip.dtype == np.float32
    assert len(clip) == 4000
    assert np.abs(clip).max() == pytest.approx(0.9, abs=1e-6)
    assert clip.mean() == pytest.approx(0, abs=1e-4)
    assert finish_clip(np.full(8000, 0.5, np.float32), 16000, 16000, 1.0) is None  # nothing is left without its mean
    assert finish_clip(np.zeros(0, np.float32), 16000, 16000, 1.0) is None


def test_generators_depend_on_seed_and_names_alone() -> None:
    drawn = [source_rng(*key).random() for key in ((3, "a", 1), (3, "a", 1), (3, "a", 2), (4, "a", 1), (3, "a1", ""))]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4


def test_a_synthesizer_that_is_missing_or_fails_is_one_line() -> None:
    with pytest.raises(TasError, match=r"^nobody plays \(.*No such file.*\); see scripts/install-material\.sh$"):
        run_synthesizer(["no-such-synthesizer"], "nobody plays")
    code = "import sys; print('warning: old', 'no voice', sep='\\n', file=sys.stderr); sys.exit(3)"
    with pytest.raises(TasError, match=r"^it does not speak \(exit code 3: no voice\); see scripts/install-material"):
        run_synthesizer([sys.executable, "-c", code], "it does not speak")
    assert run_synthesizer([sys.executable, "-c", "print(input())"], "it does not play", b"song\n") == b"song\n"


def test_random_numbers_are_keyed_by_name() -> None:
    draw = lambda *key: source_rng(*key).random(4).tolist()  # noqa: E731
    assert draw(0, "a", "b", 1) == draw(0, "a", "b", 1)
    keys = [(0, "a", "b", 1), (1, "a", "b", 1), (0, "a", "b", 2), (0, "ab", "", 1), (0, "b", "a", 1)]
    assert len({tuple(draw(*key)) for key in keys}) == len(keys)
