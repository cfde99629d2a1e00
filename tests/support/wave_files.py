"""A reader of WAVE, RF64 and BW64 files that shares nothing with what writes them: chunks, format, ADM."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

NAMESPACE = "{urn:ebu:metadata-schema:ebuCore_2014}"


@dataclass
class Wave:
    """What a file says of itself."""

    letters: str
    size: int
    chunks: dict[str, tuple[int, int]]
    path: Path
    tag: int = 0
    channels: int = 0
    rate_hz: int = 0
    bits: int = 0
    mask: int | None = None
    order: list[str] = field(default_factory=list)

    def content(self, name: str) -> bytes:
        at, size = self.chunks[name]
        with open(self.path, "rb") as file:
            file.seek(at)
            return file.read(size)


def read_wave(path: str | Path) -> Wave:
    """All chunks of a file; fails where sizes do not add up to the file."""
    path = Path(path)
    length = path.stat().st_size
    with open(path, "rb") as file:
        letters, size, kind = struct.unpack("<4sI4s", file.read(12))
        assert kind == b"WAVE"
        at, large = 12, {}
        chunks: dict[str, tuple[int, int]] = {}
        order = []
        while at + 8 <= length:
            file.seek(at)
            name, count = struct.unpack("<4sI", file.read(8))
            if name == b"ds64":
                riff, data, _ = struct.unpack("<QQQ", file.read(24))
                large = {"riff": riff, "data": data}
            if name == b"data" and count == 2**32 - 1:
                count = large["data"]
            order.append(name.decode())
            chunks[name.decode()] = (at + 8, count)
            at += 8 + count + count % 2
        assert at == length, f"chunks end at {at}, the file at {length}"
        found = Wave(letters.decode(), large.get("riff", size), chunks, path, order=order)
        assert found.size == length - 8
        file.seek(chunks["fmt "][0])
        content = file.read(chunks["fmt "][1])
    found.tag, found.channels, found.rate_hz, _, align, found.bits = struct.unpack("<HHIIHH", content[:16])
    assert align == found.channels * found.bits // 8
    if found.tag == 0xFFFE:
        (found.mask,) = struct.unpack("<I", content[20:24])
    return found


@dataclass
class Block:
    """A block format: times in seconds."""

    start_s: float
    duration_s: float
    azimuth_deg: float
    elevation_deg: float
    distance: float
    gain: float
    jump_s: float | None


@dataclass
class AdmObject:
    """An object as a renderer finds it: by the tracks of the file."""

    name: str
    track: int
    kind: str
    blocks: list[Block]


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    assert len(seconds) == 8
    assert seconds[2] == "."
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def read_adm(path: str | Path) -> tuple[list[AdmObject], ET.Element]:
    """Objects in the order of the tracks, found through chna, and the programme; fails where a reference is wrong."""
    wave = read_wave(path)
    content = wave.content("chna")
    tracks, uids = struct.unpack("<HH", content[:4])
    assert len(content) == 4 + 40 * uids
    assert tracks == wave.channels
    root = ET.fromstring(wave.content("axml"))
    (extended,) = root.iter(NAMESPACE + "audioFormatExtended")
    assert extended.get("version") == "ITU-R_BS.2076-2"
    by_id: dict[str, ET.Element] = {}
    for element in extended:
        key = next(value for name, value in element.attrib.items() if name.endswith("ID"))
        assert key not in by_id
        by_id[key] = element
    refs = lambda element, name: [item.text or "" for item in element.findall(NAMESPACE + name)]  # noqa: E731
    (programme,) = (element for element in extended if element.tag == NAMESPACE + "audioProgramme")
    objects = [
        by_id[item]
        for content_id in refs(programme, "audioContentIDRef")
        for item in refs(by_id[content_id], "audioObjectIDRef")
    ]
    owner = {uid: item for item in objects for uid in refs(item, "audioTrackUIDRef")}
    found = []
    for number in range(uids):
        index, uid, track, pack = struct.unpack("<H12s14s11sx", content[4 + 40 * number : 44 + 40 * number])
        names = [text.rstrip(b"\0").decode() for text in (uid, track, pack)]
        assert index == number + 1
        item = by_id[names[0]]
        assert (item.get("sampleRate"), item.get("bitDepth")) == (str(wave.rate_hz), str(wave.bits))
        assert refs(item, "audioTrackFormatIDRef") == [names[1]]
        assert refs(item, "audioPackFormatIDRef") == [names[2]]
        assert refs(owner[names[0]], "audioPackFormatIDRef") == [names[2]]
        name = owner[names[0]].get("audioObjectName") or ""
        if names[2].startswith("AP_0001"):  # common definitions
            found.append(AdmObject(name, index, "DirectSpeakers", []))
            continue
        (stream,) = refs(by_id[names[1]], "audioStreamFormatIDRef")
        assert refs(by_id[stream], "audioTrackFormatIDRef") == [names[1]]
        (channel,) = refs(by_id[stream], "audioChannelFormatIDRef")
        assert refs(by_id[names[2]], "audioChannelFormatIDRef") == [channel]
        kind = by_id[channel].get("typeDefinition") or ""
        found.append(AdmObject(name, index, kind, [_block(item) for item in by_id[channel]]))
    return found, programme


def _block(item: ET.Element) -> Block:
    text = lambda name: item.findtext(NAMESPACE + name) or ""  # noqa: E731
    place = {element.get("coordinate"): float(element.text or "") for element in item.findall(NAMESPACE + "position")}
    jump = item.find(NAMESPACE + "jumpPosition")
    assert jump is not None
    assert text("cartesian") == "0"
    length = jump.get("interpolationLength")
    return Block(
        _seconds(item.get("rtime") or ""),
        _seconds(item.get("duration") or ""),
        place["azimuth"],
        place["elevation"],
        place["distance"],
        float(text("gain")),
        float(length or 0) if jump.text == "1" else None,
    )
