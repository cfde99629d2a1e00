"""Packages whose recordings training may use beside what the benchmark is made of, and the speakers and kits in them.

A package belongs to one split, and so does a speaker. What of a package belongs to a category is in
``prompts/objects.yaml`` (``recorded``). :mod:`tas_core.datasets.sources.package_clips` makes clips of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tas_core.datasets.sources.catalogue import Category, Speaker, Split, Voice


@dataclass(frozen=True)
class Package:
    """A package of Debian's or a public repository: the split that its recordings belong to, and their licence.

    ``worth`` is how many clips its recordings of a category give at most, in clips per source: more where they are of
    many people and places.
    """

    name: str
    split: Split
    licence: str
    worth: int = 2


PACKAGES: tuple[Package, ...] = (
    Package("bucklespring-data", "train", "GPL-2+"),
    Package("bzflag-data", "train", "LGPL-2.1 or MPL-2.0"),
    Package("csoundqt-examples", "train", "LGPL-2.1+"),
    Package("deepin-sound-theme", "train", "GPL-3"),
    Package("dreamchess-data", "train", "GPL-3+"),
    Package("endless-sky-data", "train", "public domain; two files CC-BY-SA-3.0"),
    Package("esc-10", "train", "CC-BY-3.0", worth=8),
    Package("extremetuxracer-data", "train", "GPL-2+"),
    Package("flare-game", "val", "CC-BY-SA-3.0+"),
    Package("foobillardplus-data", "train", "GPL-2"),
    Package("freecol", "train", "GPL-2+"),
    Package("freedink-data", "test", "GPL-3+"),
    Package("freedroidrpg-data", "train", "GPL-2+"),
    Package("gamine-data", "train", "GPL-2+, GPL-3"),
    Package("gcompris-qt-data", "train", "GPL-3+; names with LA: Free Art Licence; others CC-BY, CC-BY-SA, CC0"),
    Package("gnubg-data", "train", "GPL-3+"),
    Package("hedgewars-data", "train", "GPL-2; drops CC-BY-SA-3.0"),
    Package("heroes-sound-effects", "train", "GPL-2+"),
    Package("hydrogen-data", "train", "GPL-2+"),
    Package("hydrogen-drumkits", "train", "GPL-2, GPL-2+, CC-BY-3.0, CC-BY-SA-3.0, CC0"),
    Package("hydrogen-drumkits-effects", "train", "CC-BY-3.0"),
    Package("lincity-ng-data", "train", "GPL-2+"),
    Package("lmms-common", "train", "GPL-2+"),
    Package("lomiri-sounds", "train", "CC0, CC-BY-3.0, CC-BY-4.0, CC-BY-SA-3.0"),
    Package("lugaru-data", "test", "GPL-2+, CC-BY-SA-3.0"),
    Package("megaglest-data", "train", "CC-BY-SA-3.0"),
    Package("minetest-data", "train", "CC-BY-SA-3.0, CC-BY-SA-4.0, CC-BY-3.0, MIT"),
    Package("minetest-mod-homedecor", "train", "CC-BY-SA-4.0"),
    Package("minetest-mod-mobs-redo", "train", "MIT, CC0, CC-BY-3.0"),
    Package("minetest-mod-nether", "train", "CC-BY-SA-4.0, CC-BY-3.0, CC0"),
    Package("minetest-mod-xdecor", "train", "CC-BY-3.0, GPL-2"),
    Package("openarena-081-players", "train", "GPL-2+"),
    Package("openarena-data", "train", "GPL-2+"),
    Package("openssn-data", "train", "GPL-2, CC0"),
    Package("oxygen-sounds", "train", "LGPL-3+"),
    Package("pokerth-data", "train", "BSD-3-clause, AGPL-3+"),
    Package("psi-plus-sounds", "train", "GPL-2+"),
    Package("psychtoolbox-3-common", "train", "MIT"),
    Package("scorched3d-data", "train", "GPL-2+"),
    Package("scratch", "train", "CC-BY-SA-3.0"),
    Package("searchandrescue-data", "train", "GPL-2+"),
    Package("simutrans-pak64", "train", "Artistic-1.0"),
    Package("sound-icons", "train", "GPL-2+"),
    Package("sound-theme-freedesktop", "train", "CC-BY-SA-3.0, CC-BY-3.0, GPL-2+"),
    Package("torcs-data", "train", "GPL-2+, Free Art Licence"),
    Package("trigger-rally-data", "train", "GPL-2+, CC0"),
    Package("tuxtype-data", "train", "GPL-2"),
    Package("ufoai-sound", "train", "GPL-2+, CC-BY-3.0, CC-BY-SA-3.0"),
    Package("unknown-horizons", "train", "GPL-2+; wood-cutting CC-BY-SA-3.0"),
    Package("warmux-data", "train", "GPL-2+"),
    Package("wesnoth-1.16-data", "train", "GPL-2+"),
    Package("widelands-data", "train", "GPL-2+"),
    Package("wordwarvi-sound", "train", "CC-BY-SA-3.0"),
    Package("yaru-theme-sound", "train", "CC-BY-SA-4.0"),
    Package("zaz-data", "train", "GPL-3+"),
)

_HEDGEWARS = ("British", "Classic", "Default", "Default_es", "Default_pl", "Default_ru", "Default_uk", "HillBilly",
              "Mobster", "Pirate", "Russian", "Russian_pl", "Surfer")  # fmt: skip


def _spoken(name: str, folder: str, licence: str, *patterns: str, speaker: Speaker, split: Split = "train") -> Voice:
    """A voice of a package; those that are not known to be one person's are actors', or were made higher."""
    voice = Voice(name, split, speaker, "files", folder, licence, patterns, in_benchmark=False)
    return replace(voice, acted=speaker == "any")


def _crowd(name: str, folder: str, licence: str, *patterns: str) -> Voice:
    """Many voices of a repository, who are not named."""
    return Voice(name, "train", "any", "files", folder, licence, patterns, in_benchmark=False, crowd=True)


PACKAGED_VOICES: tuple[Voice, ...] = (
    _spoken("festvox ru", "festvox-ru", "BSD-like", "*.wav", speaker="male"),
    _spoken("Menardi", "asterisk-prompt-it-menardi-wav", "CC-BY-SA-3.0", "*.wav", speaker="female"),
    _spoken("Allison es", "asterisk-core-sounds-es-g722", "CC-BY-SA-3.0", "*.g722", speaker="female"),
    *(
        _spoken(f"hedgewars {pack}", "hedgewars-data", "GPL-2", f"voices/{pack}/*.ogg", speaker="any")
        for pack in _HEDGEWARS
    ),
    _spoken("trigger ab", "trigger-rally-data", "GPL-2+", "codriver/ab/*.wav", speaker="any"),
    _spoken("trigger paula", "trigger-rally-data", "GPL-2+", "codriver/paula/*.wav", speaker="female", split="val"),
    _spoken("trigger tim", "trigger-rally-data", "GPL-2+", "codriver/tim/*.wav", speaker="male", split="test"),
    _crowd("orders of coffee", "picovoice-speech-to-intent", "Apache-2.0", "data/speech/clean/*.wav"),
    *(
        _crowd(f"wake word {word}", "picovoice-wake-words", "Apache-2.0", f"audio/{word}/[0-4]*.wav")
        for word in ("computer", "jarvis", "snowboy")
    ),
)
"""Speakers recorded in packages and repositories; ``argument`` is the folder of its name."""

KIT_KEYS: tuple[tuple[int, ...], ...] = ((36,), (38,), (42,), (46,), (41,), (45, 47), (48, 50), (49,), (51,))
"""General MIDI keys of what a kit has: kick, snare, hi-hat closed and open, toms low, mid and high, crash, ride."""


@dataclass(frozen=True)
class Kit:
    """A drum kit recorded hit by hit: patterns of its files, in the order of :data:`KIT_KEYS`."""

    name: str
    package: str
    folder: str
    hits: tuple[str, ...]


PACKAGED_KITS: tuple[Kit, ...] = (
    Kit("GMRockKit", "hydrogen-data", "GMRockKit",
        ("Kick-*", "Snare-*", "HatClosed-*", "HatOpen-*", "TomFloor-*", "Tom2-*", "Tom1-*", "Crash-*", "Ride-*")),
    # The soundfont of this name, in train, was made of the same recordings.
    Kit("The Black Pearl", "hydrogen-drumkits", "The Black Pearl 1.0",
        ("PearlKick*", "PearlSnare-*", "SabianHatClosed*", "SabianHatOpen*", "PearlTomFloor*", "PearlTom2*",
         "PearlTom1*", "SabianCrash-*", "PaisteRide-*")),
    Kit("ForzeeStereo", "hydrogen-drumkits", "ForzeeStereo",
        ("Kick-*", "Snare-*", "HiHatClosed-*", "HiHatOpen-*", "TomLow-*", "TomMid-*", "TomHigh-*", "Crash18-*",
         "Ride-*")),
    Kit("Millo", "hydrogen-drumkits", "Millo_MultiLayered2",
        ("bd_*", "jsnare_*", "hhclosed_*", "hhopen_*", "floortom_*", "tom_*", "tom_*", "crash_*", "ride_*")),
    Kit("Colombo", "hydrogen-drumkits", "ColomboAcousticDrumkit",
        ("bassdrum*", "snare*shot*", "hihat-closed*", "hihat-open*", "tom-low*", "tom-mid*", "tom-hi*",
         "crash*__crash*", "crash*__ride*")),
)  # fmt: skip
"""Real kits, which play beats like those of soundfonts."""


@dataclass(frozen=True)
class Packaged:
    """What a package below ``root`` has of a category, or of one of its kits."""

    category: Category
    package: Package
    root: Path
    kit: Kit | None = None

    @property
    def name(self) -> str:
        """Package, and category or kit."""
        return f"{self.package.name}/{(self.kit or self.category).name}"
