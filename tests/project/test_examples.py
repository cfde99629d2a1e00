"""The main job, with the model that ships, on every example: each sound is where its prompt says.

These are requirements on the output, not on the code: they can fail because a model was trained too little.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tas_core.acoustics.stft import stft
from tas_core.audio.resampling import resample
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.evaluation.metrics import spl_difference_db
from tas_core.jobs.request import FileRequest
from tas_core.jobs.result import FileResult
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tas_core.timeline.files import format_timeline, load_timeline
from tas_core.timeline.segments import Segment
from tas_core.timeline.vocabulary import WORDS_FOLDER

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))

SIDE_DEG = 25.0
"""From here on, a sound is at a side."""
SIDE_DB = 3.0
"""Least level difference between the ears for sound at a side: three times what listeners just notice."""
CENTRE_DB = 1.0
"""Largest level difference for sound in front: about what listeners just notice."""
STEP = 2.0**-15
"""One step of 16 bit."""


@dataclass(frozen=True)
class Job:
    """An example and what came out: mono input (time), ears (ear, time), both full scale 1."""

    mono: np.ndarray
    ears: np.ndarray
    rate_hz: int
    input_rate_hz: int
    report: FileResult
    warnings: tuple[str, ...]

    def during(self, start_s: float, end_s: float) -> np.ndarray:
        """The ears between two times."""
        return self.ears[:, round(start_s * self.rate_hz) : round(end_s * self.rate_hz)]


Jobs = Callable[..., Job]


def source_of(name: str) -> Path:
    (path,) = [p for p in EXAMPLES.glob(f"{name}.*") if p.suffix in (".wav", ".flac")]
    return path


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Runs the main job once per example, as it is or mirrored; the model is loaded once for all."""
    folder = tmp_path_factory.mktemp("examples")
    worker = FileWorker(JobSettings())

    @cache
    def run(name: str, mirrored: bool = False) -> Job:
        timeline, source = EXAMPLES / f"{name}.yaml", source_of(name)
        out = folder / f"{name}{'-mirrored' if mirrored else ''}.wav"
        if mirrored:
            text = format_timeline(load_timeline(timeline).mirrored(), "mirrored.yaml")
            timeline = out.with_suffix(".yaml")
            timeline.write_text(text)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            report = worker.make(FileRequest(source, out, timeline))
        mono, input_rate_hz = soundfile.read(source)
        ears, rate_hz = soundfile.read(out)
        return Job(mono, ears.T, rate_hz, input_rate_hz, report, tuple(str(w.message) for w in caught))

    return run


def segments(wanted: Callable[[Segment], bool]) -> list[object]:
    """Parameters (example, number of the segment) for the segments that a test is about."""
    return [
        pytest.param(name, i, id=f"{name} {segment.start_s:g} s, {segment.text}")
        for name in NAMES
        for i, segment in enumerate(load_timeline(EXAMPLES / f"{name}.yaml").segments)
        if wanted(segment)
    ]


def ends_deg(segment: Segment) -> np.ndarray:
    return np.array([[c.azimuth.start_deg, c.azimuth.end_deg] for c in segment.clauses])


def is_left(segment: Segment) -> bool:
    return bool((ends_deg(segment) >= SIDE_DEG).all())


def is_right(segment: Segment) -> bool:
    return bool((ends_deg(segment) <= -SIDE_DEG).all())


def is_centre(segment: Segment) -> bool:
    return not ends_deg(segment).any()


def is_moving_across(segment: Segment) -> bool:
    degrees = ends_deg(segment)
    return len(degrees) == 1 and abs(degrees[0]).min() >= SIDE_DEG and degrees[0, 0] * degrees[0, 1] < 0


def is_split(segment: Segment) -> bool:
    """Objects at different sides at the same time: only their parts can tell, see the duet below."""
    degrees = ends_deg(segment)
    fixed = (degrees[:, 0] == degrees[:, 1]).all()
    return bool(fixed and degrees.min() <= -SIDE_DEG and degrees.max() >= SIDE_DEG)


# ------------------------------------------------------------------ what the examples are


def test_the_examples_show_every_kind_of_scene() -> None:
    timelines = {name: load_timeline(EXAMPLES / f"{name}.yaml") for name in NAMES}
    objects = {name: {c.object for s in t.segments for c in s.clauses} for name, t in timelines.items()}
    assert objects["duet"] == {"trumpet", "drums"}
    assert objects["voice"] == {"man talking"}
    assert any(is_moving_across(s) for t in timelines.values() for s in t.segments)
    kinds = (is_left, is_right, is_centre, is_moving_across, is_split)
    for timeline in timelines.values():
        for segment in timeline.segments:
            assert sum(kind(segment) for kind in kinds) == 1, f"no test below is about: {segment.text}"


def test_no_training_category_knows_crows() -> None:
    """Neither by a word nor by a recording; crowds, and roosters crowing, are something else."""
    assert "crow" in NAMES
    for path in WORDS_FOLDER.iterdir():
        assert not re.search(r"(?<![a-z])crows?(?![a-z])", path.read_text(), re.IGNORECASE), path


# ------------------------------------------------------------------ where things are


@pytest.mark.parametrize(("name", "number"), segments(is_left))
def test_what_is_on_the_left_is_louder_there(jobs: Jobs, name: str, number: int) -> None:
    level_db = jobs(name).report.segments[number].spl_difference_db
    assert math.isfinite(level_db)
    assert level_db > SIDE_DB


@pytest.mark.parametrize(("name", "number"), segments(is_right))
def test_what_is_on_the_right_is_louder_there(jobs: Jobs, name: str, number: int) -> None:
    level_db = jobs(name).report.segments[number].spl_difference_db
    assert math.isfinite(level_db)
    assert level_db < -SIDE_DB


@pytest.mark.parametrize(("name", "number"), segments(is_centre))
def test_what_is_in_the_centre_is_equally_loud(jobs: Jobs, name: str, number: int) -> None:
    level_db = jobs(name).report.segments[number].spl_difference_db
    assert math.isfinite(level_db)
    assert abs(level_db) < CENTRE_DB


@pytest.mark.parametrize(("name", "number"), segments(is_moving_across))
def test_what_moves_across_is_at_one_side_then_in_the_middle_then_at_the_other(
    jobs: Jobs, name: str, number: int
) -> None:
    job = jobs(name)
    segment = job.report.segments[number].segment
    at_s = np.linspace(segment.start_s, segment.end_s, 6)
    levels_db = [spl_difference_db(job.during(a, b)) for a, b in zip(at_s, at_s[1:], strict=False)]
    towards = np.sign(segment.clauses[0].azimuth.start_deg)
    first, second, middle, fourth, last = towards * np.array(levels_db)
    assert first > 2
    assert last < -2
    assert first > middle > last
    assert second > middle > fourth
    assert abs(middle) < 1.5


def test_the_crow_is_on_the_left_although_no_crow_was_trained_on(jobs: Jobs) -> None:
    first = jobs("crow").report.segments[0]
    assert first.segment.text == "a crow on the left"
    assert math.isfinite(first.spl_difference_db)
    assert first.spl_difference_db > SIDE_DB


def stem_powers() -> dict[str, np.ndarray]:
    """Powers (freq, frame) of the two instruments of the duet by themselves, 16 kHz."""
    stems = {}
    for name in ("trumpet", "drums"):
        samples, rate_hz = soundfile.read(EXAMPLES / "stems" / f"{name}.flac")
        assert rate_hz == 16_000
        stems[name] = samples
    low = resample(soundfile.read(source_of("duet"))[0], 44_100, 16_000)[: len(stems["trumpet"])]
    np.testing.assert_allclose(stems["trumpet"] + stems["drums"], low, atol=2 * STEP)
    return {name: stft(torch.from_numpy(s), 1024, 256).abs().square().numpy() for name, s in stems.items()}


def test_the_readme_shows_what_the_demo_says_of_the_duet(jobs: Jobs) -> None:
    shown = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8").split("demo-output/duet.binaural.wav  ")[1]
    lines = shown.split("```")[0].splitlines()[1:]
    levels = [(item.segment, item.spl_difference_db) for item in jobs("duet").report.segments]
    said = [f"{part.start_s:5.1f} - {part.end_s:5.1f} s  {level:+5.1f} dB  {part.text}" for part, level in levels]
    assert [line.strip() for line in lines] == [line.strip() for line in said]


@pytest.mark.parametrize(("number", "left", "right"), [(0, "trumpet", "drums"), (1, "drums", "trumpet")])
def test_the_two_instruments_are_at_different_sides_at_the_same_time(
    jobs: Jobs, number: int, left: str, right: str
) -> None:
    """In the time-frequency bins where one of them is at least 10 dB above the other, the ears differ its way.

    Those bins hold more than 95 % of the power of either, so this is about nearly all that one hears.
    """
    job = jobs("duet")
    segment = job.report.segments[number].segment
    degrees = {c.object: c.azimuth.start_deg for c in segment.clauses}
    assert degrees[left] > SIDE_DEG
    assert degrees[right] < -SIDE_DEG

    powers = stem_powers()
    ears = torch.from_numpy(resample(job.ears, job.rate_hz, 16_000))
    ears_power = stft(ears, 1024, 256).abs().square().numpy()
    times_s = np.arange(powers[left].shape[1]) * 256 / 16_000
    inside = (times_s > segment.start_s + 0.05) & (times_s < segment.end_s - 0.05)  # a window away from the border
    levels_db = {}
    for name, other in ((left, right), (right, left)):
        own = (powers[name] > 10 * powers[other]) & inside
        assert powers[name][own].sum() > 0.95 * powers[name][:, inside].sum()
        ear = ears_power[:, :, : own.shape[1]][:, own].sum(axis=1)
        levels_db[name] = 10 * np.log10(ear[LEFT_EAR] / ear[RIGHT_EAR])
    assert levels_db[left] > 1.5, levels_db
    assert levels_db[right] < -1.5, levels_db


# ------------------------------------------------------------------ what holds for any weights


@pytest.mark.parametrize("name", NAMES)
def test_a_mirrored_timeline_exchanges_the_ears(jobs: Jobs, name: str) -> None:
    job, mirrored = jobs(name), jobs(name, mirrored=True)
    assert np.abs(job.ears - mirrored.ears[::-1]).max() <= STEP * 1.001
    for one, other in zip(job.report.segments, mirrored.report.segments, strict=True):
        assert math.isfinite(one.spl_difference_db)
        assert other.spl_difference_db == pytest.approx(-one.spl_difference_db, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_of_the_ears_is_the_input(jobs: Jobs, name: str) -> None:
    """Each ear is rounded to half a step, hence so is their mean; the gain is what the report says."""
    job = jobs(name)
    gain = 10 ** (job.report.gain_db / 20)
    assert np.abs(job.ears.mean(axis=0) - gain * job.mono).max() <= STEP / 2 * 1.001


@pytest.mark.parametrize("name", NAMES)
def test_length_and_rate_are_kept_to_the_sample(jobs: Jobs, name: str) -> None:
    job = jobs(name)
    assert job.ears.shape == (2, len(job.mono))
    assert job.rate_hz == job.input_rate_hz == job.report.sample_rate_hz
    assert job.report.duration_s == len(job.mono) / job.rate_hz
    assert soundfile.info(job.report.output).subtype == soundfile.info(source_of(name)).subtype == "PCM_16"


@pytest.mark.parametrize("name", NAMES)
def test_the_only_warnings_are_about_the_level_and_of_what_no_training_had(jobs: Jobs, name: str) -> None:
    job = jobs(name)
    unknown = [message for message in job.warnings if "no 'crow' found" in message]
    assert len(unknown) == (name == "crow")
    others = [message for message in job.warnings if message not in unknown]
    assert len(others) == (job.report.gain_db < 0)
    assert all("turned down" in message for message in others)


def zeros(samples: np.ndarray, at_least: int) -> list[tuple[int, int]]:
    """Where a signal (time) is digital zero for so many samples: (start, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], samples == 0, [False]])))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a >= at_least]


def level_dbfs(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-30))


def test_silence_stays_silent(jobs: Jobs) -> None:
    """Sound does not spread into the pauses of the crow, but for the delay between the ears and one window."""
    job = jobs("crow")
    window = round(0.064 * job.rate_hz)
    pauses = zeros(job.mono, 4 * window)
    assert len(pauses) == 4
    for start, stop in pauses:
        assert level_dbfs(job.ears[:, start:stop]) < -80
        assert level_dbfs(job.ears[:, start + window : stop - window]) < -90
