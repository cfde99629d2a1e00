"""What can sound, and which material each data split may use.

The categories (names, synonyms, General MIDI numbers) are data in
``prompts/objects.yaml``. This module reads them and states the split of the
*source material*: a soundfont, a voice or a recording belongs to one split only,
so that a score on ``test`` says how a model does on sources it never heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from tas_core.timeline.vocabulary import words_data

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Speaker = Literal["any", "male", "female"]
Kind = Literal["melodic", "percussion", "kit", "ensemble", "speech", "recording"]
SoundKind = Literal["voice", "music", "everyday"]
SOUND_KINDS: tuple[SoundKind, ...] = ("voice", "music", "everyday")
"""What sounds are to people, whatever they are made of here."""
CROWD = "crowd talking"
"""The category of voices at once (:mod:`tas_core.datasets.sources.speech`)."""
SINGING = "singing"
"""The category of what voices sing (:mod:`tas_core.datasets.sources.singing`)."""
_EFFECT_PROGRAMS = range(120, 128)
"""General MIDI's sound effects."""
_RECORDED_VOICES = frozenset({"singing", "beatbox", "chanting", "crowd talking", "children"})
_RECORDED_MUSIC = frozenset({"tabla", "breakbeat", "didgeridoo", "tanpura", "djembe", "dunun", "cajon", "drum machine"})


@dataclass(frozen=True)
class Category:
    """One kind of sounding object.

    ``words`` are phrases that training may use, the first being the canonical name; ``more`` are others, of training
    alone: TASBench-Sim's captions use ``words``, so that they stay as they are. ``held_out`` are synonyms that
    training never sees; ``common`` objects are drawn more often. ``recorded`` are patterns of file names by package
    (:mod:`tas_core.datasets.sources.packages`); a category of any kind may have recordings beside its own sound.
    ``parts`` of an ensemble are roles (:mod:`tas_core.datasets.sources.arrangements`) and the General MIDI programs
    that may play them.
    """

    name: str
    words: tuple[str, ...]
    held_out: tuple[str, ...]
    kind: Kind
    program: int | None = None
    key: int | None = None
    samples: tuple[str, ...] = ()
    speaker: Speaker | None = None
    pitch_range: tuple[int, int] | None = None
    style: str | None = None
    common: bool = False
    more: tuple[str, ...] = ()
    recorded: tuple[tuple[str, tuple[str, ...]], ...] = ()
    parts: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def training_words(self) -> tuple[str, ...]:
        """All phrases that training may use."""
        return (*self.words, *self.more)

    @property
    def sound_kind(self) -> SoundKind:
        """Voice, music or everyday sound."""
        if self.kind == "speech" or self.name in _RECORDED_VOICES:
            return "voice"
        if self.kind == "recording":
            return "music" if self.name in _RECORDED_MUSIC else "everyday"
        return "everyday" if self.program in _EFFECT_PROGRAMS else "music"

    def may_hold(self, other: Category) -> bool:
        """Whether the other's sound may be a part of this ensemble's: it has an instrument of that family."""
        if other.parts:
            return bool(self.parts)
        if other.program is not None:
            return any(program // 8 == other.program // 8 for _, programs in self.parts for program in programs)
        return other.sound_kind == "music" and any(role == "drums" for role, _ in self.parts)

    def may_mean(self, other: Category) -> bool:
        """Whether what is called one of the two may be the other as well, though their names differ.

        A person is a man or a woman, an ensemble is what plays in it.
        """
        people = {self.speaker, other.speaker}
        is_person = "any" in people and None not in people
        return self.name != other.name and (is_person or self.may_hold(other) or other.may_hold(self))


@lru_cache(maxsize=1)
def load_categories() -> tuple[Category, ...]:
    """Read every category of ``prompts/objects.yaml``, in file order."""
    categories = []
    for name, entry in words_data("objects.yaml").items():
        if "program" in entry:
            kind: Kind = "melodic"
        elif "key" in entry:
            kind = "percussion"
        elif entry.get("kit"):
            kind = "kit"
        elif "parts" in entry:
            kind = "ensemble"
        elif "speaker" in entry:
            kind = "speech"
        else:
            kind = "recording"
        pitch_range = entry.get("range")
        categories.append(
            Category(
                name=name,
                words=tuple(entry["words"]),
                held_out=tuple(entry.get("held_out", ())),
                kind=kind,
                program=entry.get("program"),
                key=entry.get("key"),
                samples=tuple(entry.get("samples", ())),
                speaker=entry.get("speaker"),
                pitch_range=(pitch_range[0], pitch_range[1]) if pitch_range else None,
                style=entry.get("style"),
                common=bool(entry.get("common", False)),
                more=tuple(entry.get("more", ())),
                recorded=tuple((package, tuple(patterns)) for package, patterns in entry.get("recorded", {}).items()),
                parts=tuple((role, tuple(programs)) for role, programs in entry.get("parts", ())),
            )
        )
    return tuple(categories)


@dataclass(frozen=True)
class SoundFont:
    """A General MIDI soundfont as Debian installs it, or a patch set by its TiMidity++ configuration (``.cfg``).

    ``without_programs`` and ``without_percussion`` leave out what shares samples with soundfonts of other splits.
    TASBench-Sim draws from it if ``in_benchmark``: what was added later serves training only, so that the benchmark's
    clips stay.
    """

    name: str
    path: Path
    split: Split
    licence: str
    only_percussion: bool = False
    without_programs: frozenset[int] = frozenset()
    without_percussion: bool = False
    in_benchmark: bool = True

    def plays(self, category: Category) -> bool:
        """Whether sounds of this kind come from soundfonts, and from this one."""
        if category.kind == "melodic":
            return not self.only_percussion and category.program not in self.without_programs
        if category.kind == "ensemble":
            return not self.only_percussion
        return category.kind in ("percussion", "kit") and not self.without_percussion


@dataclass(frozen=True)
class Voice:
    """A speaker: a synthesizer voice (``engine``) or a folder of recordings; ``in_benchmark`` as for soundfonts.

    Of ``acted`` voices, or such as were made higher, the pitch does not tell who speaks. A ``crowd`` is a folder in
    which nobody wrote down who speaks, and each recording may be of somebody else.
    """

    name: str
    split: Split
    speaker: Speaker
    engine: Literal["espeak", "flite", "files"]
    argument: str
    licence: str
    patterns: tuple[str, ...] = field(default=())
    in_benchmark: bool = True
    acted: bool = False
    crowd: bool = False

    @property
    def is_natural(self) -> bool:
        """Whether people speak as themselves; only such voices sing, and talk at once in crowds."""
        return self.engine == "files" and not self.acted


_SF2 = Path("/usr/share/sounds/sf2")

SOUNDFONTS: tuple[SoundFont, ...] = (
    SoundFont("FluidR3", _SF2 / "FluidR3_GM.sf2", "train", "MIT"),
    # MuseScore General grew out of FluidR3 and shares samples with it, so both stay in one split.
    SoundFont("MuseScore", Path("/usr/share/sounds/sf3/MuseScore_General_Full.sf3"), "train", "MIT"),
    SoundFont("OPL3", _SF2 / "OPL-3_FM_128M.sf2", "train", "CC-BY-SA-4.0"),
    SoundFont("BlackPearl", _SF2 / "Black_Pearl_4_LV2.sf2", "train", "CC-BY-SA-3.0", only_percussion=True),
    SoundFont("RedZeppelin", _SF2 / "Red_Zeppelin_4_LV2.sf2", "train", "CC-BY-SA-3.0", only_percussion=True),
    SoundFont(
        "GeneralUser",
        Path("/usr/share/minuet/soundfonts/GeneralUser-v1.47.sf2"),
        "train",
        "GeneralUser GS 2.0",
        without_programs=frozenset({6, 31, 53, 58, 79, 91, 98, 100, 101, 102, 108, 111, 114, 115, 117}),
        without_percussion=True,
        in_benchmark=False,
    ),
    SoundFont(
        "FreePats",
        Path("/etc/timidity/freepats.cfg"),
        "train",
        "GPL-2+ with an exception for compositions; three drums GFDL-1.2",
        without_programs=frozenset({64, 69, 73, 75, 79}),
        in_benchmark=False,
    ),
    SoundFont("TimGM6mb", _SF2 / "TimGM6mb.sf2", "val", "GPL-2"),
    SoundFont("CsoundGM", _SF2 / "sf_GMbank.sf2", "test", "public domain"),
)

_ESPEAK_TRAIN = (
    ("en-us", "male"), ("en-gb", "male"), ("en-gb-scotland", "male"), ("de", "male"), ("fr-fr", "male"),
    ("es", "male"), ("it", "male"), ("pt", "male"), ("nl", "male"), ("sv", "male"), ("pl", "male"),
    ("en-us+f1", "female"), ("en-gb+f2", "female"), ("de+f1", "female"), ("fr-fr+f4", "female"),
    ("es+f4", "female"), ("it+Annie", "female"), ("en-us+m3", "male"), ("en-gb+m5", "male"),
    ("en-us+m7", "male"), ("sv+f2", "female"), ("pl+f1", "female"), ("en-us+whisper", "any"),
)  # fmt: skip

_STAMPS = "/usr/share/tuxpaint/stamps"
_KLETTRES = "/usr/share/klettres"
_ASTERISK = "/usr/share/asterisk/sounds"
_TUBERLING = "/usr/share/ktuberling/sounds"
_FILLETS = "/usr/share/games/fillets-ng/sound"
_GCIN = "/usr/share/gcin-voice/ogg"


def _added(name: str, folder: str, licence: str, *patterns: str, speaker: Speaker = "any") -> Voice:
    """A recorded speaker that serves training only."""
    return Voice(name, "train", speaker, "files", folder, licence, patterns, in_benchmark=False)


VOICES: tuple[Voice, ...] = (
    *(
        Voice(f"espeak {v}", "train", sex, "espeak", v, "synthesized by a GPL-3 program")  # type: ignore[arg-type]
        for v, sex in _ESPEAK_TRAIN
    ),
    Voice("flite slt", "train", "female", "flite", "slt", "BSD-style (CMU)"),
    Voice("flite rms", "train", "male", "flite", "rms", "BSD-style (CMU)"),
    *(
        Voice(f"tuxpaint {code}", "train", "any", "files", _STAMPS, "GPL-2", (f"*_desc_{code}.ogg",))
        for code in ("fr", "ru", "ro", "bg", "es", "be", "da", "nl", "lt")
    ),
    Voice("Allison", "train", "female", "files", f"{_ASTERISK}/en_US_f_Allison", "CC-BY-SA-3.0", ("*.g722",)),
    *(
        Voice(f"klettres {code}", "train", "any", "files", f"{_KLETTRES}/{code}", "GPL-2+", ("*.ogg",))
        for code in ("da", "de", "en", "es", "fr", "it", "nds", "nl")
    ),
    *(
        _added(f"klettres {code}", f"{_KLETTRES}/{code}", "GPL-2+", "*.ogg")
        for code in ("ar", "cs", "en_GB", "he", "hu", "lt", "ml", "nb", "pt_BR", "tn", "uk")
    ),
    _added("June", f"{_ASTERISK}/fr_CA_f_June", "CC-BY-SA-3.0", "*.g722", speaker="female"),
    _added("Carlo", f"{_ASTERISK}/it_IT_m_Carlo", "CC-BY-SA-3.0", "*.g722", speaker="male"),
    _added("IvrvoiceRU", f"{_ASTERISK}/ru_RU_f_IvrvoiceRU", "CC-BY-3.0", "*.g722", speaker="female"),
    *(
        _added(f"ktuberling {code}", f"{_TUBERLING}/{code}", "GPL-2+", "*.ogg", "*.wav", "*.opus")
        for code in ("da", "de", "en", "fr", "gl", "lt", "nn", "ru", "sl", "uk", "wa")
    ),
    *(
        _added(f"fillets {code} {who}", _FILLETS, "GPL-2", f"{code}/*-{who}-*.ogg")
        for code in ("cs", "nl")
        for who in ("m", "v")
    ),
    _added("gcin 3", _GCIN, "GPL-3 or LGPL-3", "3.ogg"),
    _added("gcin 5", _GCIN, "CC-BY-3.0", "5.ogg"),
    Voice("espeak en-us+m1", "val", "male", "espeak", "en-us+m1", "synthesized by a GPL-3 program"),
    Voice("espeak en-gb+f3", "val", "female", "espeak", "en-gb+f3", "synthesized by a GPL-3 program"),
    Voice("flite awb", "val", "male", "flite", "awb", "BSD-style (CMU)"),
    Voice("tuxpaint ca", "val", "any", "files", _STAMPS, "GPL-2", ("*_desc_ca.ogg",)),
    Voice("espeak en-us+m2", "test", "male", "espeak", "en-us+m2", "synthesized by a GPL-3 program"),
    Voice("espeak en-us+f5", "test", "female", "espeak", "en-us+f5", "synthesized by a GPL-3 program"),
    Voice("flite kal", "test", "male", "flite", "kal", "BSD-style (CMU)"),
    Voice("tuxpaint el", "test", "any", "files", _STAMPS, "GPL-2", ("*_desc_el.ogg",)),
)

RECORDING_FOLDERS: tuple[tuple[Path, str], ...] = (
    (Path(_STAMPS), "GPL-2"),
    (Path("/usr/share/sonic-pi/samples"), "CC0-1.0"),
)
"""Folders with recorded one-shots, and their licences."""
