"""The waveform of hours of sound: in little memory, and shown while it is measured."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.studio.sounds import Listening
from tas_core.studio.waveform import Waveform


def test_what_is_measured_is_shown_before_the_end() -> None:
    go_on = threading.Event()

    def pieces() -> Iterator[np.ndarray]:
        yield np.full(550, 0.5)
        assert go_on.wait(30)
        yield np.full(450, -0.25)

    waveform = Waveform(pieces, 1000, 10)
    while not (found := waveform.so_far(0.01))["peaks"]:
        pass
    assert found == {"parts": 10, "peaks": [[0, 0.5]] * 5, "done": False}  # the sixth is half there
    go_on.set()
    assert waveform.so_far(30) == {
        "parts": 10,
        "peaks": [[0, 0.5]] * 5 + [[-0.25, 0.5]] + [[-0.25, 0]] * 4,
        "done": True,
    }


@pytest.mark.parametrize("sizes", [(7, 3, 1, 89), (100,), (1,) * 100, (99, 1)])
@pytest.mark.parametrize("parts", [1, 3, 40, 250])
def test_parts_are_those_of_the_whole_however_it_is_cut(sizes: tuple[int, ...], parts: int) -> None:
    samples = np.random.default_rng(parts).uniform(-1, 1, 100)
    cut = np.split(samples, np.cumsum(sizes)[:-1])
    found = np.array(Waveform(lambda: iter(cut), 100, parts).so_far(30)["peaks"])
    edges = np.linspace(0, 100, parts + 1).astype(int)
    spans = [samples[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    np.testing.assert_allclose(found[:, 0], [each.min(initial=0) for each in spans], atol=6e-5)
    np.testing.assert_allclose(found[:, 1], [each.max(initial=0) for each in spans], atol=6e-5)


def test_what_is_wrong_with_a_sound_is_said_each_time() -> None:
    def pieces() -> Iterator[np.ndarray]:
        yield np.zeros(10)
        raise ValueError("it ends here")

    waveform = Waveform(pieces, 1000, 10)
    for _ in range(2):
        with pytest.raises(ValueError, match="it ends here"):
            waveform.so_far(30)


def test_a_stereo_flac_is_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tas_core.jobs.request.READ_FRAMES", 48_000)
    rate_hz = 48_000
    ramp = np.linspace(0, 0.5, 20 * rate_hz, dtype=np.float32)
    soundfile.write(tmp_path / "long.flac", np.stack([ramp, ramp], axis=1), rate_hz, compression_level=0)
    del ramp
    with Listening(tmp_path / "long.flac") as listening:
        tracemalloc.start()
        found = listening.waveform(100).so_far(60)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert found["done"]
    np.testing.assert_allclose(np.array(found["peaks"])[:, 1], np.linspace(0, 0.5, 101)[1:], atol=1e-3)
    assert most < 3_000_000  # all of it would be 7.7 MB


def test_measuring_begins_once() -> None:
    begun = []

    def pieces() -> Iterator[np.ndarray]:
        begun.append(1)
        yield np.zeros(10)

    waveform = Waveform(pieces, 10, 2)
    asking: list[Callable[[], None]] = [lambda: waveform.so_far(30)] * 8
    threads = [threading.Thread(target=ask) for ask in asking]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert begun == [1]
