"""Files through the main job: passages, prompts without a file, one model for many files, and the report beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from tas_core.audio.excerpt import Excerpt
from tas_core.audio.normalised_writer import Levels
from tas_core.errors import InputError, PromptError, TasError
from tas_core.inference.engine import load_model
from tas_core.inference.settings import RenderSettings
from tas_core.jobs.request import FileOptions, FileRequest, find_timeline, prepare_file
from tas_core.jobs.result import FileResult
from tas_core.jobs.spatialize import FileWorker, JobSettings, process_file, spatialize_file
from tas_core.models.description import read_description
from tests.conftest import Finished, tone
from tests.support.sofa_files import FULL_CIRCLE, on_the_plane, spherical_hrir, write_sofa

Make = Callable[..., Path]
Job = Callable[..., FileResult]
Run = Callable[..., Finished]

PROMPT = "a tone on the left, noise 30 degrees to the right"
SCENE = (
    "start: 0, end: 0.9, text: 'a tone on the left, noise 30 degrees to the right'",
    "start: 1.2, text: a tone moves from the left to the right",
)


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> Job:
    """Runs the job with a small model; ``out`` is a name in the test's folder."""

    def run(source: Path, out: str = "out.wav", **arguments: object) -> FileResult:
        arguments = {"model": str(tiny_model)} | arguments
        if not {"prompt", "timeline"} & arguments.keys():
            arguments["prompt"] = PROMPT
        return spatialize_file(source, tmp_path / out, **arguments)  # type: ignore[arg-type]

    return run


def ears_of(path: Path) -> np.ndarray:
    """(ear, time)."""
    return soundfile.read(path, always_2d=True)[0].T


# ------------------------------------------------------------------ what comes in is in what goes out


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 37_123, 96_000, 192_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_rate_length_and_depth_are_kept_and_the_ears_sum_to_the_input(
    job: Job, make_audio: Make, tmp_path: Path, rate_hz: int, subtype: str
) -> None:
    source = make_audio(subtype=subtype, rate_hz=rate_hz, seconds=0.4)
    report = job(source)
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.samplerate, info.frames, info.subtype) == (rate_hz, round(0.4 * rate_hz), subtype)
    assert (report.sample_rate_hz, report.subtype, report.gain_db) == (rate_hz, subtype, 0.0)
    step = {"PCM_16": 2.0**-15, "PCM_24": 2.0**-23, "FLOAT": 2.0**-24}[subtype]
    # Each ear is rounded to the nearest step, so their mean is off by half of one at most.
    np.testing.assert_allclose(
        ears_of(tmp_path / "out.wav").mean(axis=0), soundfile.read(source)[0], rtol=0, atol=step / 2 * 1.001
    )


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_where_no_prompt_holds_both_ears_are_the_input_bit_by_bit(
    job: Job, make_audio: Make, make_timeline: Make, tmp_path: Path, subtype: str, ending: str
) -> None:
    """No rounding, no dither: 16 and 24 bits fit FLAC as well, of floats it keeps 24 bits, dithered."""
    source = make_audio(subtype=subtype, seconds=3.0)
    timeline = make_timeline("start: 2.9, text: a tone on the left")
    job(source, f"out.{ending}", timeline=timeline)
    before, after = soundfile.read(source)[0][:32_000], ears_of(tmp_path / f"out.{ending}")[:, :32_000]
    if (subtype, ending) == ("FLOAT", "flac"):
        assert 0 < np.abs(after - before).max() <= 1.5 * 2.0**-23
    else:
        np.testing.assert_array_equal(after, [before, before])


def test_digital_silence_stays_silent_also_where_depth_is_lost(job: Job, tmp_path: Path) -> None:
    samples = np.concatenate([tone(1.0)[0], np.zeros(32_000)])
    soundfile.write(tmp_path / "in.wav", samples, 16_000, subtype="FLOAT")
    job(tmp_path / "in.wav", options=FileOptions(subtype="PCM_16"))
    ears = ears_of(tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_16"
    assert ears[:, :16_000].any()
    assert not ears[:, -16_000:].any()


def test_one_channel_of_many(job: Job, make_audio: Make, tmp_path: Path) -> None:
    source = make_audio("three.wav", "FLOAT", channels=3)
    channels = soundfile.read(source)[0].T
    for number in (1, 3):
        job(source, "out.wav", options=FileOptions(excerpt=Excerpt(channel=number), overwrite=True))
        np.testing.assert_allclose(ears_of(tmp_path / "out.wav").mean(axis=0), channels[number - 1], atol=1e-7)
    with pytest.warns(UserWarning, match=r"three\.wav: 3 channels mixed down to mono"):
        job(source, options=FileOptions(overwrite=True))
    np.testing.assert_allclose(ears_of(tmp_path / "out.wav").mean(axis=0), channels.mean(axis=0), atol=1e-7)
    with pytest.raises(InputError, match=r"three\.wav: there is no channel 4, expected 1 to 3"):
        job(source, options=FileOptions(excerpt=Excerpt(channel=4), overwrite=True))


def test_tags_are_kept(job: Job, tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "in.flac", "w", 16_000, 1, "PCM_16") as file:
        file.title, file.artist = "Zwei Töne", "Somebody"
        file.write(tone(0.3)[0])
    job(tmp_path / "in.flac")
    with soundfile.SoundFile(tmp_path / "out.wav") as file:
        assert file.copy_metadata() == {"title": "Zwei Töne", "artist": "Somebody"}


def test_an_output_above_four_gibibytes_is_rf64(
    job: Job, make_audio: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tas_core.audio.writer.MAX_CHUNK_BYTES", 60_000)
    job(make_audio())
    assert (tmp_path / "out.wav").read_bytes().startswith(b"RF64")
    assert ears_of(tmp_path / "out.wav").shape == (2, 16_000)


# ------------------------------------------------------------------ levels


def test_gain_and_loudness_are_those_asked_for(job: Job, make_audio: Make, tmp_path: Path) -> None:
    source = make_audio(subtype="FLOAT", seconds=2.0)
    report = job(source, options=FileOptions(levels=Levels(gain_db=-6.0)))
    assert report.gain_db == pytest.approx(-6.0)
    assert report.loudness_lufs is None
    expected = soundfile.read(source)[0] * 10 ** (-6 / 20)
    np.testing.assert_allclose(ears_of(tmp_path / "out.wav").mean(axis=0), expected, atol=1e-7)
    report = job(source, "loud.wav", options=FileOptions(levels=Levels(loudness_lufs=-30.0)))
    assert report.loudness_lufs == pytest.approx(-30.0)
    meter = pyloudnorm.Meter(16_000, filter_class="DeMan")
    assert meter.integrated_loudness(soundfile.read(tmp_path / "loud.wav")[0]) == pytest.approx(-30.0, abs=0.001)


def test_beyond_full_scale_as_asked(job: Job, tmp_path: Path) -> None:
    samples = np.zeros(16_000)
    samples[8000] = 0.999
    soundfile.write(tmp_path / "click.wav", samples, 16_000)
    run = lambda clip: job(  # noqa: E731
        tmp_path / "click.wav", prompt="a click far left", options=FileOptions(levels=Levels(clip=clip))
    )
    with pytest.raises(TasError, match=r"out\.wav: an ear would reach \+\d\.\d\d dBFS at 0\.5"):
        run("error")
    assert os.listdir(tmp_path) == ["click.wav"]
    with pytest.warns(UserWarning, match=r"out\.wav: .*; \d+ samples beyond full scale were limited"):
        report = run("clamp")
    assert (report.gain_db, report.peak) == (0.0, 1.0)
    assert report.clamped_samples > 0


# ------------------------------------------------------------------ passages


@pytest.mark.parametrize("name", ["in.wav", "in.flac", "in.mp3"])
@pytest.mark.parametrize(
    ("seconds", "start_s", "duration_s"),
    [(4.0, 1.0, 1.25), (4.0, 0.0, 0.5), (4.0, 2.5, None), (4.0, 2.0, 99.0), (14.0, 9.3, 0.5)],
)
def test_a_passage_is_that_of_the_whole_output(
    job: Job, make_timeline: Make, tmp_path: Path, name: str, seconds: float, start_s: float, duration_s: float | None
) -> None:
    """Same model, same surroundings, same times: only rounding and the model's own grid could differ.

    What begins late is read from the middle of the file.
    """
    soundfile.write(tmp_path / name, tone(seconds, 22_050)[0], 22_050)
    timeline = make_timeline(*SCENE)
    job(tmp_path / name, "whole.wav", timeline=timeline, options=FileOptions(subtype="FLOAT"))
    options = FileOptions(subtype="FLOAT", excerpt=Excerpt(start_s=start_s, duration_s=duration_s))
    report = job(tmp_path / name, "part.wav", timeline=timeline, options=options)
    whole, part = ears_of(tmp_path / "whole.wav"), ears_of(tmp_path / "part.wav")
    start = round(start_s * 22_050)
    stop = whole.shape[1] if duration_s is None else min(whole.shape[1], start + round(duration_s * 22_050))
    assert part.shape == (2, stop - start)
    np.testing.assert_allclose(part, whole[:, start:stop], rtol=0, atol=1e-5)
    assert (report.start_s, report.duration_s) == (start / 22_050, (stop - start) / 22_050)
    for item in report.segments:
        begin, end = (min(max(round(t * 22_050), start), stop) for t in (item.segment.start_s, item.segment.end_s))
        power = (whole[:, begin:end] ** 2).sum(axis=1)
        assert item.spl_difference_db == pytest.approx(10 * np.log10(power[0] / power[1]), abs=0.01)
    assert [item.segment.start_s for item in report.segments] == [
        s for s, e in ((0.0, 0.9), (1.2, 9.9)) if s < stop / 22_050 and e > start / 22_050
    ]


def test_of_a_passage_only_what_was_listened_to_is_spoken_of(
    job: Job, make_audio: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tas_core.inference.presence.FOUND", 2.0)  # more than any presence: nothing is found
    options = FileOptions(excerpt=Excerpt(start_s=1.25, duration_s=0.5))
    with pytest.warns(UserWarning, match=r"no 'tone' found from 0:01\.[23] to 0:01\.[78]"):
        report = job(make_audio(seconds=3.0), prompt="a tone on the left", options=options)
    assert [(item.start_s, item.end_s) for item in report.objects] == [(1.25, 1.75)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"seed": -1}, "seed is -1; expected 0 to 4294967295"),
        ({"seed": 2**32}, "seed is 4294967296; expected 0 to 4294967295"),
        ({"width": 2.5}, "width is 2.5; expected 0"),
        ({"width": float("nan")}, "width is nan; expected 0"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_read(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        RenderSettings(**options)  # type: ignore[arg-type]


def test_the_largest_seed_is_one(job: Job, make_audio: Make) -> None:
    assert job(make_audio(), options=FileOptions(RenderSettings(seed=2**32 - 1, steps=2))).seed == 2**32 - 1


def test_a_passage_without_a_prompt_is_said(job: Job, make_audio: Make, make_timeline: Make) -> None:
    timeline = make_timeline(*SCENE)
    options = FileOptions(excerpt=Excerpt(start_s=1.0, duration_s=0.1))
    with pytest.warns(UserWarning, match=r"in\.wav: no prompt holds from 0:01 to 0:01\.1; all of it stays in the cent"):
        report = job(make_audio(seconds=2.0), timeline=timeline, options=options)
    assert (report.segments, report.objects) == ((), ())


def test_a_passage_after_the_end_is_refused(job: Job, make_audio: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in\.wav: the start is 1 s, expected less than 1 s"):
        job(make_audio(), options=FileOptions(excerpt=Excerpt(start_s=1.0)))
    assert os.listdir(tmp_path) == ["in.wav"]


# ------------------------------------------------------------------ prompts and timelines


@pytest.mark.parametrize("ending", [".yaml", ".yml", ".srt", ".vtt", ".txt"])
def test_the_timeline_beside_the_input_is_taken(job: Job, make_audio: Make, ending: str) -> None:
    source = make_audio("voice.wav")
    texts = {
        ".srt": "1\n00:00:00,000 --> 00:00:01,000\na tone on the left\n",
        ".vtt": "WEBVTT\n\n00:00.000 --> 00:01.000\na tone on the left\n",
        ".txt": "0.0\t1.0\ta tone on the left\n",
    }
    beside = source.with_suffix(ending)
    beside.write_text(texts.get(ending, "prompts:\n  - {start: 0, end: 1, text: a tone on the left}\n"))
    report = job(source, timeline=None)
    assert [item.segment.text for item in report.segments] == ["a tone on the left"]
    assert find_timeline(source) == beside


def test_a_prompt_is_a_timeline_of_one(job: Job, make_audio: Make, make_timeline: Make, tmp_path: Path) -> None:
    source = make_audio()
    job(source, "prompt.wav", prompt=PROMPT)
    job(source, "timeline.wav", timeline=make_timeline(f"start: 0, text: '{PROMPT}'"))
    assert (tmp_path / "prompt.wav").read_bytes() == (tmp_path / "timeline.wav").read_bytes()
    with pytest.raises(PromptError, match="^prompt: "):
        job(source, "bad.wav", prompt="cello on the lefft")
    with pytest.raises(InputError, match="a timeline and a prompt were given"):
        job(source, "bad.wav", prompt=PROMPT, timeline=tmp_path / "scene.yaml")


# ------------------------------------------------------------------ many files


def test_one_model_serves_many_files(job: Job, make_audio: Make, tiny_model: Path, tmp_path: Path) -> None:
    model = load_model(str(tiny_model))
    for number, seconds in enumerate((0.5, 1.0)):
        source = make_audio(f"{number}.wav", seconds=seconds)
        request = FileRequest(source, tmp_path / f"{number}.flac", prompt=PROMPT)
        with prepare_file(request, FileOptions()) as prepared:
            report = process_file(prepared, model)
        assert report.duration_s == seconds
        assert report.seconds["load"] == 0
        job(source, "alone.flac", options=FileOptions(overwrite=True))
        assert (tmp_path / f"{number}.flac").read_bytes() == (tmp_path / "alone.flac").read_bytes()


# ------------------------------------------------------------------ the report beside the output


def test_the_report_beside_the_output_says_how_to_make_it_again(
    make_audio: Make, tiny_model: Path, tmp_path: Path
) -> None:
    options = FileOptions(RenderSettings(seed=5), levels=Levels(gain_db=-3.0), sidecar=True, subtype="PCM_24")
    request = FileRequest(make_audio(), tmp_path / "out.wav", prompt=PROMPT)
    command = ("tas", "spatialize", "a file.wav")
    report = FileWorker(JobSettings(options, str(tiny_model), command=command)).make(request)
    beside = json.loads((tmp_path / "out.wav.tas.json").read_text())
    assert {key: beside[key] for key in report.as_dict()} == json.loads(json.dumps(report.as_dict()))
    assert beside["prompts"] == [{"start": 0.0, "end": 1.0, "text": PROMPT}]
    assert beside["seed"] == beside["settings"]["seed"] == 5
    levels = {"gain_db": -3.0, "loudness_lufs": None, "clip": "rescale", "shared_gain_db": None}
    assert beside["settings"]["levels"] == levels
    assert beside["model_digest"] == read_description(tiny_model).digest
    assert beside["command"] == "tas spatialize 'a file.wav'"
    assert set(beside["versions"]) == {"tas", "torch", "numpy", "soundfile", "soxr", "python", "libsndfile"}
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "out.wav", "out.wav.tas.json"]


def test_an_existing_report_is_kept_and_then_there_is_no_output_either(
    job: Job, make_audio: Make, tmp_path: Path
) -> None:
    source = make_audio()
    (tmp_path / "out.wav.tas.json").write_text("mine")
    with pytest.raises(InputError, match=r"out\.wav\.tas\.json: the file exists"):
        job(source, options=FileOptions(sidecar=True))
    assert not (tmp_path / "out.wav").exists()
    assert (tmp_path / "out.wav.tas.json").read_text() == "mine"
    with pytest.raises(InputError, match="standard output has no file beside it"):
        spatialize_file(source, Path("-"), prompt=PROMPT, options=FileOptions(sidecar=True))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_what_only_ffmpeg_reads_is_made_binaural(job: Job, make_audio: Make, tmp_path: Path) -> None:
    source = make_audio(rate_hz=44_100)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(source), "-metadata", "title=A", "-c:a", "alac", tmp_path / "in.m4a"],
        check=True,
    )
    report = job(tmp_path / "in.m4a")
    assert (report.subtype, report.sample_rate_hz) == ("PCM_16", 44_100)
    job(source, "other.wav")
    np.testing.assert_array_equal(ears_of(tmp_path / "out.wav"), ears_of(tmp_path / "other.wav"))
    with soundfile.SoundFile(tmp_path / "out.wav") as file:
        assert file.title == "A"


# ------------------------------------------------------------------ another head, width, stems and a page


def side_of(path: Path) -> np.ndarray:
    left, right = ears_of(path)
    return left - right


def test_width_scales_the_difference_and_keeps_the_sum(job: Job, make_audio: Make, tmp_path: Path) -> None:
    source = make_audio(subtype="FLOAT")
    for width in (0.0, 1.0, 2.0):
        job(source, f"{width:g}.wav", options=FileOptions(RenderSettings(width=width)))
    one = side_of(tmp_path / "1.wav")
    assert np.abs(one).max() > 1e-3
    # Single precision of the files.
    np.testing.assert_allclose(side_of(tmp_path / "2.wav"), 2 * one, rtol=0, atol=2.0**-22)
    assert not side_of(tmp_path / "0.wav").any()
    mono = soundfile.read(source)[0]
    for width in ("0", "1", "2"):
        np.testing.assert_allclose(ears_of(tmp_path / f"{width}.wav").mean(axis=0), mono, rtol=0, atol=2.0**-24)


def test_another_head_is_heard_and_named_in_the_sidecar(
    tas: Run, tiny_model: Path, make_audio: Make, tmp_path: Path
) -> None:
    """One ear of this head is hardly shadowed, so the ears differ from those of the built-in one."""
    me = write_sofa(tmp_path / "me.sofa", spherical_hrir(FULL_CIRCLE, 44_100), on_the_plane(FULL_CIRCLE))
    arguments = ("spatialize", make_audio(subtype="FLOAT"), "-p", "a tone far left", "--model", tiny_model)
    assert tas(*arguments, "-o", tmp_path / "kemar.wav").code == 0
    done = tas(*arguments, "-o", tmp_path / "me.wav", "--hrtf", me, "--width", 0.5, "--sidecar")
    assert (done.code, done.err) == (0, "")
    settings = json.loads((tmp_path / "me.wav.tas.json").read_text())["settings"]
    assert (settings["hrtf"], settings["width"]) == (str(me), 0.5)
    kemar, mine = side_of(tmp_path / "kemar.wav"), 2 * side_of(tmp_path / "me.wav")
    assert np.abs(kemar - mine).max() > 0.01 * np.abs(kemar).max()
    # The sound is on the same side with both.
    for name in ("kemar", "me"):
        left, right = np.square(ears_of(tmp_path / f"{name}.wav")).sum(axis=1)
        assert left > right


def test_stems_are_named_by_their_objects_and_sum_to_the_input(job: Job, make_audio: Make, tmp_path: Path) -> None:
    source = make_audio(subtype="FLOAT", seconds=2.0)
    options = FileOptions(excerpt=Excerpt(start_s=0.5, duration_s=1.0), levels=Levels(gain_db=-6.0))
    report = job(source, stems=tmp_path / "parts", options=options)
    assert [(stem.object, Path(stem.path).name) for stem in report.stems] == [
        ("tone", "1-tone.wav"),
        ("noise", "2-noise.wav"),
        (None, "rest.wav"),
    ]
    parts = [soundfile.read(stem.path)[0] for stem in report.stems]
    # Three roundings to single precision; no gain.
    np.testing.assert_allclose(np.sum(parts, axis=0), soundfile.read(source)[0][8000:24_000], rtol=0, atol=3 * 2.0**-24)
    assert all(part.any() for part in parts[:2])
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "out.wav", "parts"]
    with pytest.raises(InputError, match=r"1-tone\.wav: the file exists"):
        job(source, "more.wav", stems=tmp_path / "parts")
    assert not (tmp_path / "more.wav").exists()


def test_stems_go_where_the_output_goes(job: Job, tmp_path: Path) -> None:
    """Nothing stays of either if the other cannot be."""
    samples = np.zeros(16_000)
    samples[8000] = 0.999
    soundfile.write(tmp_path / "click.wav", samples, 16_000)
    with pytest.raises(TasError, match="beyond full scale"):
        job(
            tmp_path / "click.wav",
            prompt="a click far left",
            stems=tmp_path / "parts",
            options=FileOptions(levels=Levels(clip="error")),
        )
    assert os.listdir(tmp_path) == ["click.wav"]


def test_no_stem_is_written_over_an_input_or_the_output(job: Job, make_audio: Make, tmp_path: Path) -> None:
    rest = make_audio("rest.wav")
    before = rest.read_bytes()
    with pytest.raises(InputError, match=r"rest\.wav: the stem is the file .*rest\.wav, expected another folder"):
        job(rest, stems=tmp_path, options=FileOptions(overwrite=True))
    assert rest.read_bytes() == before
    rest.unlink()
    with pytest.raises(InputError, match=r"1-tone\.wav: the stem is the file .*1-tone\.wav"):
        job(make_audio(), "1-tone.wav", stems=tmp_path)
    assert os.listdir(tmp_path) == ["in.wav"]


@pytest.mark.parametrize("passage", [[], ["--start", 0.25, "--duration", 0.5]])
def test_a_page_measures_by_the_stems(
    tas: Run, tiny_model: Path, make_audio: Make, tmp_path: Path, passage: list[object]
) -> None:
    arguments = ("spatialize", make_audio(rate_hz=44_100), "-p", PROMPT, "--model", tiny_model, *passage)
    done = tas(
        *(*arguments, "-o", tmp_path / "out.wav"),
        *("--stems", tmp_path / "parts", "--report", tmp_path / "page.html"),
    )
    assert (done.code, done.err) == (0, "")
    page = (tmp_path / "page.html").read_text()
    assert "out.wav" in page
    assert "stem of noise" in page
    assert "2-noise.wav" in page


def test_a_sidecar_of_a_name_that_is_no_utf8(tas: Run, tiny_model: Path, make_audio: Make, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.wav")
    try:
        os.rename(make_audio(), odd)
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    done = tas("spatialize", odd, "-p", PROMPT, "--model", tiny_model, "-o", tmp_path / "out.wav", "--sidecar")
    assert done.code == 0
    (sidecar,) = tmp_path.glob("out*.json")
    assert json.loads(sidecar.read_bytes())


@pytest.mark.parametrize("passage", [["--start", 0.25], ["--duration", 0.5], ["--start", 0.25, "--duration", 0.5], []])
def test_the_page_of_a_passage_and_of_a_channel(
    tas: Run, tiny_model: Path, make_audio: Make, make_timeline: Make, tmp_path: Path, passage: list[object]
) -> None:
    source = make_audio(channels=2)
    scene = make_timeline("start: 0, end: 0.5, text: a tone on the left", "start: 0.5, text: a tone on the right")
    arguments = ("spatialize", source, "-t", scene, "--model", tiny_model, "--channel", 2, *passage)
    done = tas(*arguments, "-o", tmp_path / "out.wav", "--report", tmp_path / "page.html")
    assert (done.code, done.err) == (0, "")
    page = (tmp_path / "page.html").read_text()
    assert "input channel" in page
    assert ("input from, to" in page) == bool(passage)
    # (L + R) / 2 is the input, so the page has found the samples that the output was made of.
    assert "(L + R) / 2 of the output is the input" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report", "page.txt"], "page.txt: the extension .txt, expected .html or .htm"),
        (["--report", "none/page.html"], "none/page.html: the folder"),
        (["--stems", "in.wav"], "in.wav: not a folder, expected one for the stems"),
        (["--stems", "none/parts"], "none/parts: the folder"),
        (["--hrtf", "in.wav"], "in.wav: not a readable SOFA file"),
        (["--width", "2.1"], "--width"),
        (["--width", "nan"], "width"),
    ],
)
def test_impossible_requests_are_answered_in_a_line(
    tas: Run,
    make_audio: Make,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    make_audio()
    monkeypatch.chdir(tmp_path)
    done = tas("spatialize", "in.wav", "-p", PROMPT, "-o", "out.wav", "--model", tiny_model, *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err.splitlines()[-1]
    assert os.listdir(tmp_path) == ["in.wav"]


def test_a_page_needs_files(tas: Run, tmp_path: Path) -> None:
    done = tas("spatialize", "-", "-p", PROMPT, "-o", tmp_path / "out.wav", "--report", tmp_path / "page.html")
    assert (done.code, done.error_line) == (
        2,
        "a report page is made of two files, expected names for the input and the output",
    )


def test_many_files_get_a_folder_of_stems_and_a_page_each(tas: Run, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "x").mkdir(parents=True)
    for name in ("a.wav", "x/b.wav"):
        soundfile.write(tmp_path / "in" / name, tone(1.0, 16_000)[0], 16_000)
    arguments = (
        *("spatialize", tmp_path / "in", "-p", "a tone on the left", "--model", tiny_model, "--json"),
        *("--out-dir", tmp_path / "out", "--stems", tmp_path / "parts", "--report", tmp_path / "pages"),
    )
    done = tas(*arguments)
    assert (done.code, done.err) == (0, "2 of 2 done\n")
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert made == [
        "in/a.wav",
        "in/x/b.wav",
        "out/a.binaural.wav",
        "out/x/b.binaural.wav",
        "pages/a.binaural.html",
        "pages/x/b.binaural.html",
        "parts/a.binaural/1-tone.wav",
        "parts/a.binaural/rest.wav",
        "parts/x/b.binaural/1-tone.wav",
        "parts/x/b.binaural/rest.wav",
    ]
    # A page that is missing is made again, together with what belongs to it, and nothing else is.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("b.*") if path.is_file()}
    (tmp_path / "pages" / "a.binaural.html").unlink()
    done = tas(*arguments, "--skip-existing")
    assert (done.code, done.err) == (0, "1 of 2 done, 1 skipped\n")
    assert (tmp_path / "pages" / "a.binaural.html").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before
