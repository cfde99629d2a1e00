"""Which files a batch reads and writes: manifests, lists, templates of names, and names of objects in outputs."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tas_core.delivery.adm import Loudness, axml, check_names
from tas_core.delivery.formats import FORMATS, Delivery
from tas_core.delivery.scene import Scene
from tas_core.delivery.stems import check_stem_folder, stem_paths
from tas_core.delivery.texts import osc_file, reaper_project, scene_tables, text_paths
from tas_core.delivery.trajectory import trajectories
from tas_core.jobs.batch.inputs import BatchInput, read_list, read_manifest
from tas_core.jobs.batch.plan import BatchPlan, Destinations, plan_batch
from tas_core.jobs.output_checks import check_outputs
from tas_core.timeline.segments import REST, Segment, Timeline
from tools.fuzz.door import Door


def _plan(inputs: Sequence[BatchInput], folder: Path, template: str = "{stem}.{ext}") -> None:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    places = Destinations(out, template, stems=folder / "stems", pages=folder / "pages")
    plan = plan_batch(inputs, places, prompt="dog left", sidecar=True, overwrite=True)
    _look(plan, out)


def _look(plan: BatchPlan, out: Path) -> None:
    for _, request in plan.tasks():
        check_outputs(request, [request.source], overwrite=True, subtype=None)
        where = os.path.realpath(request.main_out)
        if not where.startswith(os.path.realpath(out) + os.sep):
            raise AssertionError("an output outside of the folder of outputs")


def _manifest(data: bytes, folder: Path) -> None:
    path = folder / "in.jsonl"
    path.write_bytes(data)
    _plan(read_manifest(path), folder)


def _list(data: bytes, folder: Path) -> None:
    path = folder / "in.txt"
    path.write_bytes(data)
    _plan([BatchInput(named) for named in read_list(path)], folder)  # folders are not searched: "/" is one


def _template(data: bytes, folder: Path) -> None:
    _plan([BatchInput(Path("a.wav"))], folder, data.decode("utf-8", "surrogateescape"))


def _names(data: bytes, folder: Path) -> None:
    """Names of objects, a line for each, as all formats write them."""
    names = [line for line in data.decode("utf-8", "surrogateescape").split("\n")[:4] if line.strip()] or ["dog"]
    timeline = Timeline((Segment.from_prompt(0.0, 1.0, "dog left"),))
    *_, rest = trajectories(timeline, 1.0, (0.0, 1.0))
    check_names((*names, "title"))
    objects = tuple(replace(rest, object=name) for name in names)
    scene = Scene(names[0], objects, rest, 48000, 48000)
    ET.fromstring(axml(scene, Loudness(None, None)))
    made: list[Path] = []
    for name, write in (("objects", scene_tables), ("osc", osc_file), ("rpp", reaper_project)):
        delivery = Delivery(FORMATS[name], folder / (name if FORMATS[name].is_folder else f"scene.{name}"))
        stems = stem_paths(delivery.folder or folder, (*names, REST))
        made += [*stems, *text_paths(delivery, stems), *write(delivery, scene, stems)]
    check_stem_folder(folder / "stems", (*names, REST))
    for path in made:
        if not os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
            raise AssertionError("a file outside of the folder of outputs")


_LINES = (
    b'{"audio": "a.wav", "prompt": "dog left"}\n{"audio": "b/c.flac", "prompt": "cat right", "out": "out/x.wav"}\n',
    b'{"objects": {"dog": "d.wav"}, "prompt": "dog left"}\n\n{"audio": "a.wav", "timeline": "a.srt"}\n',
)
_TOKENS = tuple(
    word.encode()
    for word in (
        *(
            "../",
            "/etc/x.wav",
            "..",
            "out",
            '"audio"',
            '"out"',
            '"objects"',
            '"timeline"',
            '"prompt"',
            "\\ud800",
            "\\u0000",
        ),
        *(
            "{stem}",
            "{parent}",
            "{index:03}",
            "{ext}",
            "{",
            "}",
            "\u202e",
            "a" * 300,
            "~",
            "-",
            "NaN",
            "[[[[[[[",
            "null",
        ),
    )
)
DOORS = (
    Door("manifest", _manifest, lambda: list(_LINES), _TOKENS),
    Door("list", _list, lambda: [b"a.wav\nb/c.flac\r\n\n", b"\xef\xbb\xbfa.wav\n../b.mp3\n"], _TOKENS),
    Door("template", _template, lambda: [b"{stem}.binaural.{ext}", b"{parent}/{index:03}-{stem}.wav"], _TOKENS),
    Door("names", _names, lambda: [b"dog\ncello", "caf\u00e9 & <b>\n'\"`".encode(), b"../../x\n/etc/passwd"], _TOKENS),
)
