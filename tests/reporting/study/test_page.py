"""Making listening studies: the page tells nobody which system is which."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tas_core.errors import InputError
from tas_core.reporting.study.page import fixed_objects, make_study, question, render_page
from tas_core.reporting.study.records import Key, read_key
from tas_core.timeline.files import convert_timeline, parse_timeline
from tests.conftest import Finished
from tests.support.refusal import refused, tree

Run = Callable[..., Finished]
RATE = 16_000
SYSTEMS = ("Quetzalcoatl", "baseline seven", "mono")
SCENES = {
    "000001": "cello on the left, piano on the right",
    "000002": "a rooster in the center",
    "000003": "rain 15 degrees to the left; applause 16 degrees to the right",
    "moving": "the cello moves from the left to the right",
}


def write_sound(
    path: Path, *, seconds: float = 0.2, channels: int = 2, rate_hz: int = RATE, level: float = 0.1
) -> None:
    seed = int.from_bytes(hashlib.sha256(str(path).encode()).digest()[:4], "little")
    noise = level * np.random.default_rng(seed).standard_normal((round(seconds * rate_hz), channels))
    soundfile.write(path, noise, rate_hz, subtype="FLOAT" if path.suffix == ".wav" else None)


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """Folders of three systems and their timelines; a clip that moves, and one that only one system has."""
    folder = tmp_path / "material"
    (folder / "timelines").mkdir(parents=True)
    for clip, text in SCENES.items():
        (folder / "timelines" / f"{clip}.yaml").write_text(f"prompts:\n  - {{start: 0, text: '{text}'}}\n")
    for system in SYSTEMS:
        (folder / system).mkdir()
        for clip in SCENES:
            write_sound(folder / system / f"{clip}.wav", channels=1 if system == "mono" else 2)
    write_sound(folder / "mono" / "alone.wav")
    return folder


def options(material: Path) -> list[object]:
    """Arguments of ``tas study make`` without the output."""
    systems = [word for name in SYSTEMS for word in ("--system", f"{name}={material / name}")]
    return ["study", "make", *systems, "--timelines", material / "timelines"]


def make(material: Path, out: Path, **more: Any) -> Key:
    make_study(out, {name: material / name for name in SYSTEMS}, material / "timelines", **more)
    return read_key((out if out.suffix != ".html" else out.parent) / "key.json")


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.blocks: dict[str, str] = {}
        self._open = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self._open = dict(attrs).get("id") or tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.blocks[self._open] = self.blocks.get(self._open, "") + data

    @property
    def study(self) -> dict[str, Any]:
        return json.loads(self.blocks["study"])

    def sound(self, item: object) -> np.ndarray:
        """(time, ear)."""
        coded = base64.b64decode(self.blocks[f"sound-{item}"], validate=True)
        return soundfile.read(io.BytesIO(coded), always_2d=True)[0]


# ------------------------------------------------------------------ the page


def test_the_same_seed_gives_the_same_bytes(material: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make(material, tmp_path / name, seed=seed)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    a, c = (json.loads((tmp_path / name / "key.json").read_text()) for name in "ac")
    assert a["study"] != c["study"]
    assert [item["item"] for item in a["items"]] != [item["item"] for item in c["items"]]


def test_timelines_of_any_format_give_the_same_key(material: Path, tmp_path: Path) -> None:
    expected = make(material, tmp_path / "a")
    for clip, extension in zip(SCENES, (".srt", ".vtt", ".txt", ".yml"), strict=True):
        scene = material / "timelines" / f"{clip}.yaml"
        convert_timeline(scene, scene.with_suffix(extension))
        scene.unlink()
    assert make(material, tmp_path / "b") == expected


def test_the_page_tells_nothing_about_the_systems(material: Path, tmp_path: Path) -> None:
    make(material, tmp_path / "study", seed=1)
    text = (tmp_path / "study" / "study.html").read_text()
    spoken = re.sub(r'(?s)<script id="sound-.*?</script>|<style>.*?</style>|mono audio', "", text).lower()
    for secret in (*SYSTEMS, *SCENES, "alone", str(tmp_path), "material", "timelines", ".wav", "seed"):
        assert secret.lower() not in spoken, secret
    page = Page(tmp_path / "study" / "study.html")
    assert set(page.study) == {"study", "sets", "items"}
    assert {frozenset(item) for item in page.study["items"]} == {frozenset({"item", "set", "questions"})}
    for item in page.study["items"]:
        coded = base64.b64decode(page.blocks[f"sound-{item['item']}"])
        assert coded[:4] == b"fLaC"
        assert not any(name.encode() in coded for name in SYSTEMS)
        # One channel has become two, so that the files of a set are alike in all but the sound.
        assert page.sound(item["item"]).shape == (round(0.2 * RATE), 2)


def test_the_key_maps_every_item_of_the_page(material: Path, tmp_path: Path) -> None:
    key = make(material, tmp_path / "study", seed=2)
    page = Page(tmp_path / "study" / "study.html")
    assert page.study["study"] == key.study
    assert [item["item"] for item in page.study["items"]] == [item.item for item in key.items]
    assert sorted((item.clip, item.system) for item in key.items) == sorted(
        (clip, system) for clip in SCENES if clip != "moving" for system in SYSTEMS
    )
    objects = {clip.clip: [each.object for each in clip.objects] for clip in key.clips}
    for shown, item in zip(page.study["items"], key.items, strict=True):
        assert shown["questions"] == [f"Where do you hear the {name}?" for name in objects[item.clip]]
        original = soundfile.read(tmp_path / "material" / item.system / f"{item.clip}.wav", always_2d=True)[0]
        np.testing.assert_allclose(page.sound(item.item) - original, 0, atol=0.51 * 2**-15)
    # A set holds one clip, and the order of its systems is drawn anew for each.
    assert [len({item.clip for item in key.items[i : i + 3]}) for i in (0, 3, 6)] == [1, 1, 1]
    orders = {tuple(item.system for item in key.items[i : i + 3]) for i in (0, 3, 6)}
    assert len(orders) > 1


def test_questions_hold_no_places(material: Path, tmp_path: Path) -> None:
    make(material, tmp_path / "study")
    questions = {q for item in Page(tmp_path / "study" / "study.html").study["items"] for q in item["questions"]}
    assert not [q for q in questions if re.search(r"left|right|cent|\d", q)]
    assert question("everything else") == "Where do you hear everything else?"


def test_the_head_forbids_every_request(material: Path, tmp_path: Path) -> None:
    make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html")
    policy = next(value for _, value in page.attributes if value and "default-src" in value)
    rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("media-src") == "blob:"
    assert rules.pop("script-src") == _source(page.blocks["script"])
    assert rules.pop("style-src") == _source(page.blocks["style"])
    assert rules == {"base-uri": "'none'", "form-action": "'none'"}
    assert not [value for name, value in page.attributes if name in ("src", "href", "srcset", "style", "onload")]
    assert "http:" not in page.blocks["script"]
    assert "https:" not in page.blocks["script"]


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize(
    "text",
    ["</script><script>alert(1)</script>", "<!--<script>", "<img src=x onerror=alert(1)>", "@@SCRIPT@@", "&lt;\u2028é"],
)
def test_a_prompt_cannot_become_markup(tmp_path: Path, text: str) -> None:
    item = {"item": 1234, "set": 1, "questions": [question(text)]}
    (tmp_path / "page.html").write_bytes(render_page({"study": "0", "sets": 1, "items": [item]}, {"1234": b"x"}))
    page = Page(tmp_path / "page.html")
    assert page.study["items"] == [item]
    assert page.tags["script"] == 3
    assert page.tags["img"] == 0
    assert page.blocks["study"].isascii()
    assert not re.search("[<>&]", page.blocks["study"])


def test_markup_in_a_timeline_reaches_the_page_as_text(material: Path, tmp_path: Path) -> None:
    evil = '"</script><img src=x onerror=alert(1)>" on the left'
    (material / "timelines" / "000002.yaml").write_text(f"prompts:\n  - {{start: 0, text: '{evil}'}}\n")
    make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html")
    questions = [q for item in page.study["items"] for q in item["questions"]]
    assert questions.count("Where do you hear the </script><img src=x onerror=alert(1)>?") == 3
    assert page.tags["img"] == 0


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (["cello on the left"], {"cello": 55}),
        (["cello on the left", "piano at 0 degrees, cello on the left"], {"cello": 55, "piano": 0}),
        (["cello on the left", "cello far left"], None),
        (["piano on the left, cello from the left to the right"], None),
    ],
)
def test_one_fixed_place_per_object(segments: list[str], expected: dict[str, float] | None) -> None:
    lines = [f"  - {{start: {i}, end: {i + 1}, text: '{text}'}}\n" for i, text in enumerate(segments)]
    objects = fixed_objects(parse_timeline("prompts:\n" + "".join(lines)))
    assert (None if objects is None else {each.object: each.azimuth_deg for each in objects}) == expected


def test_levels_within_a_set_keep_their_relation_where_one_would_clip(material: Path, tmp_path: Path) -> None:
    loud, soft = (material / system / "000001.wav" for system in SYSTEMS[:2])
    soundfile.write(loud, np.tile([2.0, -1.0], (3200, 1)), RATE, subtype="FLOAT")
    soundfile.write(soft, np.tile([0.5, 0.25], (3200, 1)), RATE, subtype="FLOAT")
    key = make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html")
    items = {item.system: item.item for item in key.items if item.clip == "000001"}
    np.testing.assert_allclose(page.sound(items[SYSTEMS[0]])[5], [1, -0.5], atol=1e-4)
    np.testing.assert_allclose(page.sound(items[SYSTEMS[1]])[5], [0.25, 0.125], atol=1e-4)


def test_rates_and_lengths_of_a_set_are_made_one(material: Path, tmp_path: Path) -> None:
    for rate_hz, name in ((96_000, "000001"), (22_050, "000002")):
        write_sound(material / SYSTEMS[0] / f"{name}.wav", seconds=0.25, rate_hz=rate_hz)
    key = make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html")
    lengths = {clip: {len(page.sound(item.item)) for item in key.items if item.clip == clip} for clip in SCENES}
    assert lengths["000001"] == {round(0.25 * 48_000)}
    assert lengths["000002"] == {round(0.25 * 22_050)}


def test_clips_are_drawn_and_what_is_left_out_is_counted(tas: Run, material: Path, tmp_path: Path) -> None:
    done = tas(*options(material), "--out", tmp_path / "quiz.html", "--clips", 2, "--seed", 9)
    assert done.code == 0, done
    assert "6 recordings, 2 clips" in done.out
    assert "1 clips left out because an object moves" in done.out
    assert "1 clips left out because not every folder has them" in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.json", "material", "quiz.html"]
    assert len(read_key(tmp_path / "key.json").clips) == 2


# ------------------------------------------------------------------ mistakes


def three_channels(folder: Path) -> None:
    write_sound(folder / "mono" / "000001.wav", channels=3)


def other_length(folder: Path) -> None:
    write_sound(folder / "mono" / "000001.wav", seconds=0.4)


def same_stem(folder: Path) -> None:
    write_sound(folder / "mono" / "000001.flac")


def bad_timeline(folder: Path) -> None:
    (folder / "timelines" / "000001.yaml").write_text("prompts: 3\n")


def late_timeline(folder: Path) -> None:
    (folder / "timelines" / "000001.yaml").write_text("prompts:\n  - {start: 5, text: cello left}\n")


def empty_system(folder: Path) -> None:
    for path in (folder / "mono").iterdir():
        path.unlink()


def no_common_clip(folder: Path) -> None:
    for clip in SCENES:
        (folder / "mono" / f"{clip}.wav").unlink()


@pytest.mark.parametrize(
    ("damage", "more", "message"),
    [
        (three_channels, (), r"000001\.wav: 3 channels, expected one or two"),
        (other_length, (), r"000001\.wav: lasts 0\.40 s, but .*000001\.wav lasts 0\.20 s"),
        (same_stem, (), r"mono: 000001\.flac and 000001\.wav have the same stem, expected one audio file"),
        (bad_timeline, (), r"000001\.yaml:1:10: `prompts` is not a list"),
        (late_timeline, (), r"000001\.yaml:2:5: .*starts at 5 s"),
        (empty_system, (), r"mono: no audio files in the folder"),
        (no_common_clip, (), r"timelines: 0 clips can be used, expected one or more \(5 are not in every folder"),
        (Path.exists, ("--clips", 4), r"timelines: 3 clips can be used, expected 4 or more"),
        (Path.exists, ("--system", "nofolder"), r"--system 'nofolder': expected NAME=FOLDER"),
        (Path.exists, ("--system", "=x"), r"--system '=x': expected NAME=FOLDER"),
        (Path.exists, ("--system", "mono=x"), r"--system 'mono=x': the name 'mono' is given twice"),
        (Path.exists, ("--system", "new=nowhere"), r"nowhere: No such file or directory, expected a folder of audio"),
        (Path.exists, ("--system", "a\x07b=."), r"'a\\x07b' is not a name of a system"),
        (Path.exists, ("--out", "no/where.html"), r"no/where\.html: the folder .* does not exist"),
        (Path.exists, ("--out", "no/where/folder"), r"no/where/folder: the folder no/where does not exist"),
    ],
)
def test_making_is_refused(
    tas: Run, material: Path, tmp_path: Path, damage: Callable[[Path], object], more: tuple[object, ...], message: str
) -> None:
    damage(material)
    assert re.search(message, refused(tas, tmp_path, *options(material), "--out", tmp_path / "study", *more))


def test_existing_files_are_replaced_only_by_force(tas: Run, material: Path, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("precious")
    arguments = (*options(material), "--out", tmp_path / "study.html")
    assert "key.json: the file exists" in refused(tas, tmp_path, *arguments)
    assert tas(*arguments, "--force").code == 0
    assert read_key(tmp_path / "key.json").systems == SYSTEMS


def test_a_page_that_is_too_large_is_refused(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tas_core.reporting.study.page.MAX_PAGE_BYTES", 50_000)
    with pytest.raises(InputError, match=r"larger than .* MB, reached by clip 2 of 3; use fewer clips"):
        make(material, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_the_command_needs_no_torch(material: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom tas_cli.main import main\n"
        "try:\n    main()\nfinally:\n    print(*sorted(sys.modules.keys() & {'torch', 'transformers', 'selenium'}))"
    )
    words = [str(word) for word in (*options(material), "--out", tmp_path / "study")]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""
