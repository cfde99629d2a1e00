"""All doors by name. A module for each kind of file; each is imported when one of its doors is asked for."""

from __future__ import annotations

import importlib

from tools.fuzz.door import Door

_MODULES = {
    "timelines": ("yaml", "srt", "vtt", "labels", "prompt"),
    "sounds": ("wav", "wav64", "flac", "ogg", "opus", "mp3", "other-sound"),
    "films": ("probe", "decoded", "film", "adts"),
    "heads": ("sofa", "split"),
    "checkpoints": (
        "checkpoint-config",
        "checkpoint-weights",
        "checkpoint-specialists",
        "calibration",
        "training-state",
    ),
    "banks": ("bank", "coded-bank", "rooms", "phrases"),
    "batches": ("manifest", "list", "template", "names"),
    "requests": ("request", "upload", "server"),
    "pages": ("studio", "studio-request", "autosave"),
    "records": ("config", "variables", "answers", "key", "ledger", "log", "provenance"),
    "data_sets": ("annotations-jsonl", "annotations-csv", "dataset", "scene"),
}

DOOR_NAMES = tuple(name for names in _MODULES.values() for name in names)


def door(name: str) -> Door:
    """The door of a name; KeyError for another."""
    module = next((module for module, names in _MODULES.items() if name in names), None)
    if module is None:
        raise KeyError(name)
    found: dict[str, Door] = {item.name: item for item in importlib.import_module(f"tools.fuzz.doors.{module}").DOORS}
    return found[name]
