"""What is wrong with the outputs of a request, found before any work: formats, options that act on none, files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tas_core.audio.formats import check_output_path
from tas_core.audio.normalised_writer import Levels
from tas_core.delivery.adm import check_names as check_xml_names
from tas_core.delivery.formats import BINAURAL, Delivery, check_encoder_of
from tas_core.delivery.stems import check_stem_folder, stem_paths
from tas_core.delivery.texts import text_paths
from tas_core.errors import InputError
from tas_core.inference.settings import RenderSettings
from tas_core.system.files import STANDARD_STREAM, check_new_file, check_within, same_file
from tas_core.timeline.segments import REST

if TYPE_CHECKING:
    from tas_core.jobs.request import FileRequest


def check_options(request: FileRequest, render: RenderSettings, levels: Levels, has_head: bool) -> None:
    """See that each option acts on one of the formats.

    Raises:
        InputError: it acts on none, or cannot act on one that it would have to.
    """
    formats = [delivery.format for delivery in request.deliveries]
    names = ", ".join(form.name for form in formats)
    if all(form.name != BINAURAL for form in formats):
        acts = {
            "a head": has_head or render.head is not None,
            "a width": render.width != 1,
            "a renderer": render.renderer != "auto",
        }
        for what, is_given in acts.items():
            if is_given:
                raise InputError(f"{what} was given, and makes no difference to {names}; expected binaural among them")
    if levels.loudness_lufs is not None and not any(form.has_loudness for form in formats):
        raise InputError(f"a loudness was given, and that of {names} is not defined; expected a gain, or other formats")
    if levels.gain_db and all(form.name == "osc" for form in formats):
        raise InputError("a gain was given, and osc holds no sound; expected other formats")
    if levels.clip == "rescale-all" and any(form.name != BINAURAL for form in formats):
        raise InputError(f"one gain for all files is found of two ears; expected binaural alone, not {names}")


def check_outputs(request: FileRequest, inputs: Sequence[Path], *, overwrite: bool, subtype: str | None) -> None:
    """See that the files of all formats can be written, as far as their names do not depend on those of objects.

    Raises:
        InputError: a file that cannot be written, a sample encoding that a format does not have, or a program that is
            missing.
    """
    made = request.deliveries
    if subtype is not None and not any(delivery.format.takes(subtype) for delivery in made):
        formats = [delivery.format for delivery in made]
        has = ", ".join(f"{form.name} has {' or '.join(form.subtypes) or 'no sound'}" for form in formats)
        raise InputError(f"{made[0].path}: {subtype} was asked for, and {has}; expected no subtype")
    for delivery in made:
        form = delivery.format
        check_encoder_of(form)
        if form.is_sound:
            wanted = subtype if subtype is not None and form.takes(subtype) else None
            check_output_path(delivery.path, inputs, overwrite=overwrite, subtype=wanted)
        elif not form.is_folder:
            check_new_file(delivery.path, inputs, overwrite=overwrite)


def check_names(request: FileRequest, objects: Sequence[str], inputs: Sequence[Path], *, overwrite: bool) -> None:
    """See that the files of objects can be written, over no other file of the request, and that formats hold the names.

    Raises:
        InputError: a file that cannot be, or that is another one of the request; a name that XML does not hold.
    """
    names = (*objects, REST)
    made = request.deliveries
    if any(delivery.format.name == "adm" for delivery in made):
        check_xml_names((*objects, scene_title(request.source)))
    folders = [(delivery.folder, delivery) for delivery in made if delivery.folder is not None]
    taken = [*inputs, *(delivery.path for delivery in made if not delivery.format.is_folder)]
    for folder, delivery in [(request.stems, None), *folders]:
        if folder is None:
            continue
        check_stem_folder(folder, names, overwrite=overwrite)
        files = stem_paths(folder, names)
        texts = _texts_in(folder, delivery, files)
        if folder.is_dir():
            for path in texts:
                check_within(path, [folder])
                check_new_file(path, overwrite=overwrite)
        for path in (*files, *texts):
            for other in taken:
                if same_file(path, other):
                    raise InputError(f"{path}: the stem is the file {other}, expected another folder for stems")
        taken += [*files, *texts]


def _texts_in(folder: Path, delivery: Delivery | None, files: Sequence[Path]) -> tuple[Path, ...]:
    if delivery is None:
        return ()
    return tuple(path for path in text_paths(delivery, files) if path.parent == folder)


def scene_title(source: Path) -> str:
    """What a scene is called: as its input, without the ending."""
    return "scene" if str(source) == STANDARD_STREAM else source.stem
