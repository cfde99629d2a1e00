"""Requests that cannot be carried out: exit code 2, one line that names the place, and nothing written."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import Finished, tone
from tests.support.refusal import refused, tree

Run = Callable[..., Finished]
RATE = 16_000
SCENE = ("start: 0, text: a tone on the left",)


# ------------------------------------------------------------------ audio


def wav_header(data_bytes: int, *, channels: int = 1, bits: int = 16) -> bytes:
    """Header of a WAV file that promises so many bytes of samples."""
    frame = max(1, channels) * bits // 8
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, RATE, RATE * frame, frame, bits)
    return struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE") + fmt + struct.pack("<4sI", b"data", data_bytes)


def write_bytes(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def write_float(at: int, value: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        samples = tone(1.0)[0]
        samples[at] = value
        soundfile.write(path, samples, RATE, subtype="FLOAT")

    return write


def cut_flac(path: Path) -> None:
    soundfile.write(path, tone(2.0)[0], RATE, subtype="PCM_16", format="FLAC")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


BAD_AUDIO: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "No such file"),
    "folder": (Path.mkdir, "a folder of inputs, expected --out-dir"),
    "empty": (write_bytes(b""), "the file is empty"),
    "text": (write_bytes(b"cello on the left, piano on the right\n" * 20), "not an audio file"),
    "only a header": (write_bytes(wav_header(0)), "no samples"),
    "half a header": (write_bytes(wav_header(0)[:20]), "not an audio file"),
    "no channels": (write_bytes(wav_header(3200, channels=0) + bytes(3200)), "not an audio file"),
    "not a number": (write_float(8000, np.nan), r"sample nan at 0\.5 s"),
    "infinity": (write_float(4000, -np.inf), r"sample -inf at 0\.25 s"),
    "cut off": (write_bytes(wav_header(32_000) + bytes(1000)), "cut off.*32000 bytes.* 1000"),
    "cut off flac": (cut_flac, "(cut off|damaged)"),
    "too slow": (lambda path: soundfile.write(path, np.zeros(4000), 4000), "4000 Hz, expected 8000 to"),
}


@pytest.mark.parametrize("case", BAD_AUDIO)
def test_audio_is_refused(case: str, tas: Run, make_timeline: Callable[..., Path], tmp_path: Path) -> None:
    write, message = BAD_AUDIO[case]
    source = tmp_path / "sound.wav"
    write(source)
    line = refused(tas, tmp_path, "spatialize", source, "-t", make_timeline(*SCENE), "-o", tmp_path / "out.wav")
    assert re.match(rf"{re.escape(str(source))}: .*{message}", line)


# ------------------------------------------------------------------ timelines

BAD_TIMELINES: dict[str, tuple[str, str]] = {
    "empty": ("", "the timeline is empty"),
    "no list": ("prompts: 3\n", r":1:10: `prompts` is not a list"),
    "no prompts": ("prompts: []\n", r":1:10: the list of prompts is empty"),
    "not yaml": ("prompts:\n  - {start: 0, text: [\n", r":\d+:\d+: "),
    "unknown top key": (
        "prompt:\n  - {start: 0, text: cello left}\n",
        r":1:1: unknown key `prompt`, did you mean `prompts`",
    ),
    "unknown key": ("prompts:\n  - {begin: 0, text: cello left}\n", r":2:6: unknown key `begin`"),
    "key twice": ("prompts:\n  - {start: 0, start: 1, text: cello left}\n", r":2:16: `start` is given twice"),
    "alias": (
        "prompts:\n  - &a {start: 0, end: 1, text: cello left}\n  - *a\n",
        r":2:5: anchors and aliases are not supported",
    ),
    "tag": ("prompts:\n  - {start: !!python/name:os.system 0, text: cello left}\n", r":2:13: tags are not supported"),
    "overlap": (
        "prompts:\n  - {start: 0, end: 0.6, text: cello left}\n  - {start: 0.5, text: cello right}\n",
        r":3:5: .*starts at 0.5 s.*:2:5.*ends at 0.6 s, expected no overlap",
    ),
    "negative time": ("prompts:\n  - {start: -1, text: cello left}\n", r':2:13: `start` is "-1", expected seconds'),
    "unreadable time": ("prompts:\n  - {start: 0, end: soon, text: cello left}\n", r':2:21: `end` is "soon", expected'),
    "infinite time": ("prompts:\n  - {start: .inf, text: cello left}\n", r':2:13: `start` is ".inf", expected'),
    "sixty-one seconds": ('prompts:\n  - {start: "0:61", text: cello left}\n', r':2:13: `start` is "0:61", expected'),
    "end before start": ("prompts:\n  - {start: 0.5, end: 0.2, text: cello left}\n", r":2:23: the end is 0.2 s"),
    "no text": ("prompts:\n  - {start: 0}\n", r":2:5: `text` is missing"),
    "blank text": ("prompts:\n  - {start: 0, text: '  '}\n", r":2:22: `text` is empty"),
    "after the audio": ("prompts:\n  - {start: 5, text: cello left}\n", r":2:5: .*starts at 5 s.*audio at 1 s"),
}


@pytest.mark.parametrize("case", BAD_TIMELINES)
def test_timeline_is_refused(case: str, tas: Run, make_audio: Callable[..., Path], tmp_path: Path) -> None:
    text, message = BAD_TIMELINES[case]
    timeline = tmp_path / "scene.yaml"
    timeline.write_text(text)
    line = refused(tas, tmp_path, "spatialize", make_audio(), "-t", timeline, "-o", tmp_path / "out.wav")
    assert re.match(rf"{re.escape(str(timeline))}(: )?{message}", line)


def test_missing_and_binary_timelines_are_refused(tas: Run, make_audio: Callable[..., Path], tmp_path: Path) -> None:
    source, out = make_audio(), tmp_path / "out.wav"
    line = refused(tas, tmp_path, "spatialize", source, "-t", tmp_path / "no.yaml", "-o", out)
    assert re.search(r"no\.yaml: cannot read the timeline: No such file", line)
    assert re.search(
        r"in\.wav: the extension \.wav, ", refused(tas, tmp_path, "spatialize", source, "-t", source, "-o", out)
    )
    sound = tmp_path / "sound.yaml"
    sound.write_bytes(source.read_bytes())
    assert re.search(r"sound\.yaml:\d+:\d+: ", refused(tas, tmp_path, "spatialize", source, "-t", sound, "-o", out))


@pytest.mark.parametrize(
    ("text", "under"),
    [
        ("a cello on the left, piano", "piano"),
        ("somewhere there is a cello", "somewhere there is a cello"),
        ("cello 200 degrees to the left", "200 degrees to the left"),
    ],
)
def test_an_unreadable_prompt_is_shown_with_a_caret(
    tas: Run, make_audio: Callable[..., Path], tmp_path: Path, text: str, under: str
) -> None:
    timeline = tmp_path / "scene.yaml"
    timeline.write_text(f"prompts:\n  - {{start: 0, text: '{text}'}}\n")
    source, before = make_audio(), tree(tmp_path)
    done = tas("spatialize", source, "-t", timeline, "-o", tmp_path / "out.wav")
    assert done.code == 2
    assert tree(tmp_path) == before
    first, shown, carets, *hints = done.err.splitlines()
    assert first.startswith(f"tas: error: {timeline}:2:22: ")
    assert shown.strip() == text
    assert shown[carets.index("^") : carets.rindex("^") + 1] == under
    assert not [line for line in hints if line.startswith("tas: ")]


# ------------------------------------------------------------------ outputs


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("nowhere/out.wav", r"the folder .*nowhere does not exist"),
        ("in.wav/out.wav", r"the folder .*in\.wav does not exist"),
        ("out", "no extension, expected one of .wav"),
        ("out.aac", r"the extension \.aac, expected one of \.wav.*encodes elsewhere"),
        ("out.txt", r"the extension \.txt, expected one of \.wav"),
        ("folder.wav", "a folder, expected a file name"),
        ("in.wav", "the output is the input"),
        ("link.wav", "the output is the input"),
        ("./sub/../in.wav", "the output is the input"),
        ("there.wav", "the file exists"),
        ("to_there.wav", "the file exists"),
    ],
)
def test_output_is_refused(
    tas: Run,
    make_audio: Callable[..., Path],
    make_timeline: Callable[..., Path],
    tmp_path: Path,
    out: str,
    message: str,
) -> None:
    source, timeline = make_audio(), make_timeline(*SCENE)
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "there.wav").write_bytes(b"precious")
    (tmp_path / "link.wav").symlink_to(source)
    (tmp_path / "to_there.wav").symlink_to(tmp_path / "there.wav")
    target = f"{tmp_path}/{out}"
    line = refused(tas, tmp_path, "spatialize", source, "-t", timeline, "-o", target)
    assert re.search(rf"{re.escape(str(Path(target)))}: .*{message}", line)


@pytest.mark.parametrize("out", ["in.wav", "link.wav"])
def test_the_input_is_not_overwritten_by_force_either(
    tas: Run, make_audio: Callable[..., Path], make_timeline: Callable[..., Path], tmp_path: Path, out: str
) -> None:
    source = make_audio()
    (tmp_path / "link.wav").symlink_to(source)
    line = refused(tas, tmp_path, "spatialize", source, "-t", make_timeline(*SCENE), "-o", tmp_path / out, "--force")
    assert "the output is the input" in line


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no files, such as /proc")
def test_a_file_system_that_takes_no_files(
    tas: Run, make_audio: Callable[..., Path], make_timeline: Callable[..., Path], tiny_model: Path
) -> None:
    """Permissions do not stop root, so this one comes up only when the output is opened."""
    source, timeline = make_audio(), make_timeline(*SCENE)
    done = tas("spatialize", source, "-t", timeline, "-o", "/proc/out.wav", "--model", tiny_model)
    assert done.code == 2
    assert done.error_line.startswith("/proc/out.wav: no file can be made in /proc")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop root")
def test_a_read_only_folder(
    tas: Run, make_audio: Callable[..., Path], make_timeline: Callable[..., Path], tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    line = refused(tas, tmp_path, "spatialize", make_audio(), "-t", make_timeline(*SCENE), "-o", locked / "out.wav")
    assert "no permission to write" in line


# ------------------------------------------------------------------ models and devices


def edit_config(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def edit_sizes(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())["config"]
        edit_config(config=config | changes)(folder)

    return edit


def flip_a_bit(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(bytes(data))


def no_safetensors(folder: Path) -> None:
    """Weights that are not even safetensors, under a description that does not know their digest."""
    (folder / "model.safetensors").write_bytes(b"\x80\x04pickled" * 100)
    path = folder / "config.json"
    description = json.loads(path.read_text())
    del description["weights_sha256"]
    path.write_text(json.dumps(description))


BAD_MODELS: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit differs": (flip_a_bit, r"model\.safetensors is damaged"),
    "cut off": (lambda f: os.truncate(f / "model.safetensors", 1000), r"model\.safetensors is damaged"),
    "no safetensors": (no_safetensors, r"model\.safetensors is not a valid safetensors file"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors does not exist"),
    "no description": (lambda f: (f / "config.json").unlink(), r"config\.json does not exist"),
    "description cut off": (lambda f: os.truncate(f / "config.json", 30), r"config\.json is not valid JSON"),
    "another format": (edit_config(format=99), r"config\.json: format 99 cannot be read.*reads format 1"),
    "unknown family": (edit_config(family="transformer"), r"config\.json: unknown model family 'transformer'"),
    "unknown size": (edit_sizes(heads=4), "heads"),
    "impossible size": (edit_sizes(n_fft=100), "n_fft"),
    "size of another type": (edit_sizes(channels="many"), "channels"),
    "other sizes": (edit_sizes(channels=16), "the config makes no slots model: its sizes ask for more"),
    "unknown encoder": (edit_sizes(text_encoder="word2vec"), "unknown text encoder 'word2vec'.*minilm"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_checkpoint_is_refused(
    case: str,
    tas: Run,
    make_audio: Callable[..., Path],
    make_timeline: Callable[..., Path],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    damage, message = BAD_MODELS[case]
    model = shutil.copytree(tiny_model, tmp_path / "model")
    damage(model)
    arguments = (make_audio(), "-t", make_timeline(*SCENE), "-o", tmp_path / "out.wav", "--model", model)
    line = refused(tas, tmp_path, "spatialize", *arguments)
    assert re.search(message, line)
    assert str(model) in line or "text encoder" in line


def test_an_error_about_weights_fits_a_screen(
    tas: Run, make_audio: Callable[..., Path], make_timeline: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    """A line that lists a hundred tensors helps nobody."""
    model = shutil.copytree(tiny_model, tmp_path / "model")
    edit_sizes(blocks=8)(model)
    arguments = (make_audio(), "-t", make_timeline(*SCENE), "-o", tmp_path / "out.wav", "--model", model)
    assert len(refused(tas, tmp_path, "spatialize", *arguments)) < 500


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--model", "no-such-model", "unknown model 'no-such-model'; expected one of .*or a checkpoint folder"),
        ("--device", "cuda", r"torch finds no CUDA device; use the CPU \(--device cpu\)"),
    ],
)
def test_model_and_device_names_are_checked(
    tas: Run,
    make_audio: Callable[..., Path],
    make_timeline: Callable[..., Path],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    value: str,
    message: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    options = {"--model": str(tiny_model)} | {option: value}
    arguments = [word for pair in options.items() for word in pair]
    line = refused(
        tas, tmp_path, "spatialize", make_audio(), "-t", make_timeline(*SCENE), "-o", tmp_path / "out.wav", *arguments
    )
    assert re.search(message, line)


# ------------------------------------------------------------------ as a process


@pytest.mark.parametrize("case", ["audio", "timeline", "output"])
def test_a_process_answers_a_mistake_the_same_way(
    case: str, tas_process: Run, make_audio: Callable[..., Path], make_timeline: Callable[..., Path], tmp_path: Path
) -> None:
    source, timeline, out = make_audio(), make_timeline(*SCENE), tmp_path / "out.wav"
    wrong = {"audio": tmp_path / "no.wav", "timeline": tmp_path / "no.yaml", "output": tmp_path / "no" / "out.wav"}
    arguments = {"audio": source, "timeline": timeline, "output": out} | {case: wrong[case]}
    line = refused(
        tas_process, tmp_path, "spatialize", arguments["audio"], "-t", arguments["timeline"], "-o", arguments["output"]
    )
    assert line.startswith(f"{wrong[case]}: ")


def test_mistakes_are_answered_without_loading_torch(make_audio: Callable[..., Path], tmp_path: Path) -> None:
    """Importing torch takes seconds; a typing error must not."""
    timeline = tmp_path / "scene.yaml"
    timeline.write_text("prompts:\n  - {start: 0, text: cello on the lfet}\n")
    program = (
        "import sys\n"
        "from tas_cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sorted(sys.modules.keys() & {'torch', 'torchaudio', 'transformers', 'open_clip'}))\n"
    )
    arguments = ["spatialize", str(make_audio()), "-t", str(timeline), "-o", str(tmp_path / "out.wav")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"tas: error: {timeline}:2:")
    assert done.stdout.split() == []
