"""The Audio Definition Model of a scene as XML (ITU-R BS.2076-2) and its chunks in a file (BS.2088).

One programme holds an object per trajectory, each of type *Objects* with a channel whose block formats follow it, and
the rest: one channel of it as an object at the centre that never moves, two as a bed of left and right, whose samples
have its gain.

A block says where the object is at its *end*: without a jump, a renderer goes there from the end of the block before
for all of its length, with gains for loudspeakers that go linearly. So lines are cut where they go further than
2 degrees. A jump is a block with ``jumpPosition``, and takes 10 ms, as everywhere here. Times are whole
steps of 10 microseconds, so that each block begins where the one before ends.
"""

from __future__ import annotations

import math
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tas_core.delivery.scene import Scene
from tas_core.delivery.trajectory import Trajectory, wrapped_deg
from tas_core.errors import InputError

RATE_HZ: Final = 48_000
BITS: Final = 24
MAX_TRACKS: Final = 0xFFFF - 0x1000
"""Identifiers count from 0x1001 in 16 bits."""

_TICKS_PER_S: Final = 100_000
_FIRST: Final = 0x1001
_JUMP_S: Final = 0.01
_DEGREES: Final = 2.0
_METRES: Final = 0.1
_SHARE: Final = 0.1
_CHNA_BYTES: Final = 40
_STEREO: Final = ("AP_00010002", ("AC_00010001", "AC_00010002"), ("AT_00010001_01", "AT_00010002_01"))
"""The bed of left and right among the common definitions of BS.2094: its pack, channels and tracks."""


@dataclass(frozen=True)
class Loudness:
    """What is said of the loudness of a programme, as it is rendered to 0+5+0.

    Args:
        integrated_lufs: None in silence.
        true_peak_dbtp: None in silence.
    """

    integrated_lufs: float | None
    true_peak_dbtp: float | None


@dataclass(frozen=True)
class BlockFormat:
    """A piece of time of an object: times in steps of 10 microseconds, and where it is at the end of it."""

    start: int
    end: int
    azimuth_deg: float
    elevation_deg: float
    distance: float
    gain: float
    jumps: bool


def check_names(names: Sequence[str]) -> None:
    """See that XML holds all names.

    Raises:
        InputError: a character that it does not hold, or more names than there are identifiers.
    """
    for name in names:
        for char in name:
            if (ord(char) < 32 and char not in "\t\n\r") or "\ud800" <= char <= "\udfff" or char in "\ufffe\uffff":
                raise InputError(f"{name!a}: XML holds no character <U+{ord(char):04X}>, expected another name")
    if len(names) > MAX_TRACKS:
        raise InputError(f"{len(names)} objects, expected at most {MAX_TRACKS} in one file")


def block_formats(place: Trajectory, duration: int, reference_m: float, loud_m: float = 0.0) -> list[BlockFormat]:
    """The blocks of an object, each beginning where the one before ends.

    Args:
        place: where it is.
        duration: length of all of it, in steps of 10 microseconds, above 0.
        reference_m: distance that counts as 1.
        loud_m: distance at which the sound is as loud as it is, metres: gains then have what others do to its level,
            since renderers do nothing to it (ITU-R BS.2127); 0 leaves gains alone.
    """
    found: list[BlockFormat] = []
    targets = list(_targets(place))
    jumped = False
    for number, (time_s, jumps) in enumerate(targets, start=1):
        start = found[-1].end if found else 0
        end = duration if number == len(targets) else min(round(time_s * _TICKS_PER_S), duration)
        jumped |= jumps
        if end > start:
            at = place.at(np.array([np.nextafter(time_s, -1.0)]))
            azimuth_deg = wrapped_deg(float(at.azimuth_deg[0]))
            distance = float(at.distance_m[0]) / reference_m
            gain = float(at.gain[0]) * (loud_m / float(at.distance_m[0]) if loud_m else 1.0)
            values = (azimuth_deg, float(at.elevation_deg[0]), distance, gain)
            found.append(BlockFormat(start, end, *values, jumped and bool(found)))
            jumped = False
    return found


def _targets(place: Trajectory) -> Iterator[tuple[float, bool]]:
    """Ends of blocks, seconds, and whether the block jumps to there."""
    begins, jumps = True, False
    for n in range(len(place.time_s) - 1):
        start_s, end_s = float(place.time_s[n]), float(place.time_s[n + 1])
        jumps |= start_s == end_s
        if start_s == end_s:
            continue
        count = _steps(place, n)
        if count and (begins or jumps):  # only then it moves on from there
            yield (start_s := min(start_s + _JUMP_S, end_s)), jumps
            jumps = False
        for time_s in np.linspace(start_s, end_s, max(count, 1) + 1)[1:].tolist() if start_s < end_s else ():
            yield time_s, jumps
            jumps = False
        begins = False


def _steps(place: Trajectory, n: int) -> int:
    """Into how many parts the line behind a point is cut; 0 where nothing moves."""
    change = lambda values: abs(float(values[n + 1] - values[n]))  # noqa: E731
    steps = [change(place.azimuth_deg) / _DEGREES, change(place.elevation_deg) / _DEGREES]
    # Far away as much in proportion: a tenth of the way there is 0.8 dB.
    steps.append(change(place.distance_m) / max(_METRES, _SHARE * float(min(place.distance_m[n : n + 2]))))
    return max(math.ceil(max(steps) - 1e-9), int(change(place.gain) > 0))


def axml(scene: Scene, loudness: Loudness) -> bytes:
    """The XML of a scene.

    Args:
        scene: at 48 kHz.
        loudness: of the programme.
    """
    root = ET.Element(
        "ebuCoreMain",
        {"xmlns": "urn:ebu:metadata-schema:ebuCore_2014", "xml:lang": "en", "schema": "EBU_CORE_2014.xsd"},
    )
    within = ET.SubElement(ET.SubElement(root, "coreMetadata"), "format")
    extended = ET.SubElement(within, "audioFormatExtended", {"version": "ITU-R_BS.2076-2"})
    duration = round(scene.num_frames * _TICKS_PER_S / RATE_HZ)
    _programme(extended, scene, loudness, duration)
    reference_m = scene.nearest_m
    tracks: list[tuple[str, str, str]] = []
    for number, place in enumerate(scene.objects):
        blocks = block_formats(place, duration, reference_m, scene.loud_m)
        tracks.append(_object(extended, number, place.object, blocks, (duration, reference_m)))
    number = len(scene.objects)
    if scene.rest_channels == 1:
        blocks = block_formats(scene.rest, duration, reference_m)
        tracks.append(_object(extended, number, scene.rest.object, blocks, (duration, reference_m)))
    else:
        refs = [f"ATU_{number + 1 + channel:08x}" for channel in range(2)]
        _audio_object(extended, number, scene.rest.object, _STEREO[0], refs, duration)
        tracks += [(_STEREO[1][channel], _STEREO[2][channel], _STEREO[0]) for channel in range(2)]
    for at, (_, track, pack) in enumerate(tracks, start=1):
        uid = ET.SubElement(
            extended, "audioTrackUID", {"UID": f"ATU_{at:08x}", "sampleRate": str(RATE_HZ), "bitDepth": str(BITS)}
        )
        ET.SubElement(uid, "audioTrackFormatIDRef").text = track
        ET.SubElement(uid, "audioPackFormatIDRef").text = pack
    ET.indent(root)
    return ET.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"


def chna(scene: Scene) -> bytes:
    """Which track of the file is which of the XML."""
    rows = []
    for number in range(len(scene.objects) + (scene.rest_channels == 1)):
        key = f"{_FIRST + number:04x}"
        rows.append((f"AT_0003{key}_01", f"AP_0003{key}"))
    if scene.rest_channels == 2:
        rows += [(track, _STEREO[0]) for track in _STEREO[2]]
    content = struct.pack("<HH", len(rows), len(rows))
    for at, (track, pack) in enumerate(rows, start=1):
        content += struct.pack("<H12s14s11sx", at, f"ATU_{at:08x}".encode(), track.encode(), pack.encode())
    assert len(content) == 4 + _CHNA_BYTES * len(rows)
    return content


def _programme(extended: ET.Element, scene: Scene, loudness: Loudness, duration: int) -> None:
    programme = ET.SubElement(
        extended,
        "audioProgramme",
        {
            "audioProgrammeID": "APR_1001",
            "audioProgrammeName": scene.title,
            "start": _time(0),
            "end": _time(duration),
        },
    )
    contents = [("ACO_1001", "objects", range(len(scene.objects)))] if scene.objects else []
    contents.append(("ACO_1002", "rest", range(len(scene.objects), len(scene.objects) + 1)))
    for key, _, _ in contents:
        ET.SubElement(programme, "audioContentIDRef").text = key
    if loudness.integrated_lufs is not None:
        said = ET.SubElement(programme, "loudnessMetadata", {"loudnessMethod": "ITU-R BS.1770"})
        ET.SubElement(said, "integratedLoudness").text = f"{loudness.integrated_lufs:.2f}"
        if loudness.true_peak_dbtp is not None:
            ET.SubElement(said, "maxTruePeak").text = f"{loudness.true_peak_dbtp:.2f}"
    for key, name, numbers in contents:
        content = ET.SubElement(extended, "audioContent", {"audioContentID": key, "audioContentName": name})
        for number in numbers:
            ET.SubElement(content, "audioObjectIDRef").text = f"AO_{_FIRST + number:04x}"


def _audio_object(extended: ET.Element, number: int, name: str, pack: str, uids: list[str], duration: int) -> None:
    item = ET.SubElement(
        extended,
        "audioObject",
        {
            "audioObjectID": f"AO_{_FIRST + number:04x}",
            "audioObjectName": name,
            "start": _time(0),
            "duration": _time(duration),
        },
    )
    ET.SubElement(item, "audioPackFormatIDRef").text = pack
    for uid in uids:
        ET.SubElement(item, "audioTrackUIDRef").text = uid


def _object(
    extended: ET.Element, number: int, name: str, blocks: list[BlockFormat], extent: tuple[int, float]
) -> tuple[str, str, str]:
    """An object with its pack, channel, stream and track; returns the identifiers of channel, track and pack."""
    duration, reference_m = extent
    key = f"{_FIRST + number:04x}"
    pack, channel, track, stream = f"AP_0003{key}", f"AC_0003{key}", f"AT_0003{key}_01", f"AS_0003{key}"
    _audio_object(extended, number, name, pack, [f"ATU_{number + 1:08x}"], duration)
    objects = {"typeLabel": "0003", "typeDefinition": "Objects"}
    packed = ET.SubElement(
        extended, "audioPackFormat", {"audioPackFormatID": pack, "audioPackFormatName": name, **objects}
    )
    ET.SubElement(packed, "audioChannelFormatIDRef").text = channel
    if reference_m != 1:
        ET.SubElement(packed, "absoluteDistance").text = f"{reference_m:.6f}"
    formed = ET.SubElement(
        extended, "audioChannelFormat", {"audioChannelFormatID": channel, "audioChannelFormatName": name, **objects}
    )
    for at, block in enumerate(blocks, start=1):
        _block(formed, f"AB_0003{key}_{at:08x}", block)
    pcm = {"formatLabel": "0001", "formatDefinition": "PCM"}
    streamed = ET.SubElement(
        extended, "audioStreamFormat", {"audioStreamFormatID": stream, "audioStreamFormatName": f"PCM_{name}", **pcm}
    )
    ET.SubElement(streamed, "audioChannelFormatIDRef").text = channel
    ET.SubElement(streamed, "audioTrackFormatIDRef").text = track
    tracked = ET.SubElement(
        extended, "audioTrackFormat", {"audioTrackFormatID": track, "audioTrackFormatName": f"PCM_{name}", **pcm}
    )
    ET.SubElement(tracked, "audioStreamFormatIDRef").text = stream
    return channel, track, pack


def _block(formed: ET.Element, key: str, block: BlockFormat) -> None:
    times = {"rtime": _time(block.start), "duration": _time(block.end - block.start)}
    item = ET.SubElement(formed, "audioBlockFormat", {"audioBlockFormatID": key, **times})
    ET.SubElement(item, "cartesian").text = "0"
    for name, value in (
        ("azimuth", block.azimuth_deg),
        ("elevation", block.elevation_deg),
        ("distance", block.distance),
    ):
        ET.SubElement(item, "position", {"coordinate": name}).text = f"{value + 0.0:.6f}"
    ET.SubElement(item, "gain").text = f"{block.gain:.6f}"
    jump = ET.SubElement(item, "jumpPosition")
    jump.text = "1" if block.jumps else "0"
    if block.jumps:
        length_s = min(_JUMP_S, (block.end - block.start) / _TICKS_PER_S)
        jump.set("interpolationLength", f"{length_s:.5f}")


def _time(ticks: int) -> str:
    seconds, rest = divmod(ticks, _TICKS_PER_S)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{rest:05d}"
