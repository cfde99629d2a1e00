"""A request to spatialize a file, checked before torch is imported and before anything is written.

So mistakes are answered at once.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tas_core.audio.encoder import check_encoder, check_film
from tas_core.audio.excerpt import Excerpt
from tas_core.audio.formats import AudioFormat, output_encoding, output_subtype
from tas_core.audio.mixdown import MixdownMeter
from tas_core.audio.normalised_writer import Levels
from tas_core.audio.reader import AudioReader
from tas_core.audio.resampling import to_mono
from tas_core.audio.tracks import Film, probe
from tas_core.delivery.adm import RATE_HZ as ADM_RATE_HZ
from tas_core.delivery.formats import BINAURAL, Delivery, deliveries
from tas_core.delivery.mixes import mix_format
from tas_core.errors import Advice, AudioError, InputError, PromptError, warnings_about
from tas_core.inference.given import others
from tas_core.inference.renderer_choice import choose_renderer, wants_sphere
from tas_core.inference.settings import RenderSettings
from tas_core.jobs.output_checks import check_names, check_options, check_outputs
from tas_core.jobs.sources import GivenSources, SourceMix, open_sources
from tas_core.system.files import STANDARD_STREAM, check_new_file, input_name
from tas_core.timeline.clock import clock_time
from tas_core.timeline.doubts import warn_of_doubts
from tas_core.timeline.files import EXTENSIONS, is_timeline, load_timeline
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sources import SourceFile, sources_by_object

if TYPE_CHECKING:
    from tas_core.acoustics.hrtf import HrirSet

SUBTYPES: Final = ("PCM_16", "PCM_24", "FLOAT")
READ_FRAMES: Final = 2**20
SIDECAR_ENDING: Final = ".tas.json"


@dataclass(frozen=True)
class FileOptions:
    """What holds for each file of a job; checked when it is made.

    Args:
        render: how sound is rendered; ``stems`` follows from the request, which names their folder.
        excerpt: which part of the input.
        levels: gain, loudness, and what to do beyond full scale.
        hrtf: SOFA file of the head whose ears are made, read where ``render`` has none; None is the built-in one.
        subtype: sample encoding of the output, one of :data:`SUBTYPES`, in capitals or not; None keeps the
            input's where the format can.
        sidecar: whether a file ``OUT.tas.json`` says how the output was made.
        overwrite: whether existing outputs may be replaced.
        strict: whether a name that looks misspelt is an error, rather than a warning.
        separator: a command that separates what is not given, in place of a model, see
            :mod:`tas_core.jobs.separators`.
        longest_s: the longest input that is taken, seconds; None is any.

    Raises:
        InputError: an unknown subtype, or stems without a folder.
    """

    render: RenderSettings = field(default_factory=RenderSettings)
    excerpt: Excerpt = field(default_factory=Excerpt)
    levels: Levels = field(default_factory=Levels)
    hrtf: Path | None = None
    subtype: str | None = None
    sidecar: bool = False
    overwrite: bool = False
    strict: bool = False
    separator: str | None = None
    longest_s: float | None = None

    def __post_init__(self) -> None:
        if self.render.stems:
            raise InputError("stems of a file need a folder, expected it in the request")
        if self.subtype is not None:
            object.__setattr__(self, "subtype", self.subtype.upper())
        if self.subtype is not None and self.subtype not in SUBTYPES:
            raise InputError(f"unknown subtype '{self.subtype}'; expected one of {', '.join(SUBTYPES)}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, all of one level but ``levels``."""
        return {
            "steps": self.render.steps,
            "seed": self.render.seed,
            **asdict(self.excerpt),
            "levels": asdict(self.levels),
            "subtype": self.subtype,
            "hrtf": None if self.hrtf is None else str(self.hrtf),
            "width": self.render.width,
            "stereo": self.render.stereo,
            "renderer": self.render.renderer,
            "transition_s": self.render.transition_s,
            "separator": self.separator,
            "sidecar": self.sidecar,
            "overwrite": self.overwrite,
        }


@dataclass(frozen=True)
class FileRequest:
    """One file to be made binaural.

    Args:
        source: any audio file; ``-`` is standard input.
        out: the output, its extension chooses the format; ``-`` is WAV on standard output.
        timeline_path: the timeline; without it and a prompt, the one beside the input, see :func:`find_timeline`.
        prompt: one prompt for the whole input in place of a timeline.
        stems: folder for the objects' estimated stems, if they are wanted, see :mod:`tas_core.delivery.stems`.
        page: HTML file for the report page, if one is wanted, see :func:`tas_core.reporting.report.page.write_report`.
        objects: files of the sounds of objects, beside those that the timeline names, see
            :mod:`tas_core.jobs.sources`.
        has_input: whether there is an input; if not, ``source`` is what the request is named after, the timeline or the
            first of the objects' files.
        formats: what is made, names of :data:`tas_core.delivery.formats.FORMATS`; none leaves it to the name of the
            output, and several go beside each other, see :func:`tas_core.delivery.formats.deliveries`.
    """

    source: Path
    out: Path
    timeline_path: Path | None = None
    prompt: str | None = None
    stems: Path | None = None
    page: Path | None = None
    formats: tuple[str, ...] = ()
    objects: tuple[SourceFile, ...] = ()
    has_input: bool = True

    @classmethod
    def of_objects(
        cls, out: Path, objects: Sequence[SourceFile], timeline_path: Path | None = None, **others: Any
    ) -> FileRequest:
        """A request without an input, of sounds that are given.

        Args:
            out: the output.
            objects: the sounds; the timeline may name more.
            timeline_path: the timeline.
            others: of the other fields.

        Raises:
            InputError: neither sounds nor a timeline that could name some.
        """
        named = next((path for path in (*(item.file for item in objects), timeline_path) if path is not None), None)
        if named is None:
            raise InputError("no input and no sounds of objects, expected one of them", remedy="input")
        return cls(named, out, timeline_path, objects=tuple(objects), has_input=False, **others)

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """What is made and where it goes.

        Raises:
            InputError: as :func:`tas_core.delivery.formats.deliveries`.
        """
        return deliveries(self.out, self.formats)

    @property
    def main_out(self) -> Path:
        """The output that others lie beside: the first."""
        return self.deliveries[0].path


@dataclass(frozen=True)
class PreparedFile:
    """A request that was checked; made by :func:`prepare_file`.

    Attributes:
        request: what was requested.
        reader: the open input, at its beginning.
        timeline: of the whole input, with all ends closed.
        num_samples: samples per channel of the whole input.
        passage: numbers of the first sample to make and of the end.
        forms: what each output is going to hold, where it is one file of sound; in the order of the deliveries.
        render: settings of the rendering, with the head, the renderer, and whether stems are wanted.
        options: what else was requested.
        given: sounds of objects that are given; None if there are none.
    """

    request: FileRequest
    reader: AudioReader
    timeline: Timeline
    num_samples: int
    passage: tuple[int, int]
    forms: tuple[AudioFormat | None, ...]
    render: RenderSettings
    options: FileOptions
    given: GivenSources | None = None

    @property
    def separated(self) -> Timeline | None:
        """The timeline of what a network has to find; None if all is given."""
        return self.timeline if self.given is None else others(self.timeline, self.given.channels)

    @property
    def out(self) -> Path:
        """The output that others lie beside."""
        return self.request.main_out

    @property
    def subtype(self) -> str:
        """Sample encoding of that output."""
        form = self.forms[0]
        return "FLOAT" if form is None else form.subtype

    @property
    def sidecar(self) -> Path:
        """Where a sidecar is put, if one is requested."""
        return sidecar_path(self.out)


def sidecar_path(out: Path) -> Path:
    """``OUT.tas.json``."""
    return out.with_name(out.name + SIDECAR_ENDING)


def find_timeline(source: Path) -> Path:
    """The timeline beside an input: the same name with another ending.

    A text file is one only if it is written as a label track is: others may be words that are sung, or notes.

    Warns:
        Advice: a text file beside the input is passed over.

    Raises:
        AudioError: there is no such input.
        InputError: no timeline, or more than one.
    """
    if str(source) == STANDARD_STREAM:
        raise InputError("no timeline: expected one, or a prompt", remedy="prompt")
    if not source.name or not os.path.exists(source):
        raise AudioError(f"{source}: no such file")
    there = [path for path in map(source.with_suffix, EXTENSIONS) if path.is_file() and path != source]
    found = [path for path in there if is_timeline(path)]
    other = "".join(f"{path} is no label track and was passed over" for path in there if path not in found)
    if not found:
        endings = ", ".join(EXTENSIONS)
        beside = f"a file {source.with_suffix('')} with the ending {endings}"
        and_there = f"; {other}" if other else ""
        raise InputError(
            f"no timeline: expected {beside}, or one from elsewhere, or a prompt{and_there}", remedy="prompt"
        )
    if len(found) > 1:
        named = ", ".join(map(str, found))
        raise InputError(f"more than one timeline beside {source}: {named}; expected one, or a prompt", remedy="prompt")
    if other:
        warnings.warn(Advice(other), stacklevel=2)
    return found[0]


@contextlib.contextmanager
def prepare_file(request: FileRequest, options: FileOptions) -> Iterator[PreparedFile]:
    """Check a request and open its input; a context manager, at whose end the input is closed.

    All warnings until then begin with the name of the input.

    Warns:
        UserWarning: more than one channel is mixed down; the timeline outlasts the audio; no prompt holds in the
            requested passage.

    Raises:
        InputError: anything about the request that cannot be carried out.
    """
    with warnings_about(input_name(request.source)), _prepared(request, options) as prepared:
        yield prepared


@contextlib.contextmanager
def _prepared(request: FileRequest, options: FileOptions) -> Iterator[PreparedFile]:
    """As :func:`prepare_file`, whose warnings name the input."""
    source, out, timeline_path, prompt = request.source, request.out, request.timeline_path, request.prompt
    if timeline_path is not None and prompt is not None:
        raise InputError("a timeline and a prompt were given, expected one of them")
    if prompt is None and timeline_path is None:
        if not request.has_input:
            raise InputError("no timeline and no prompt, expected one of them", remedy="prompt")
        timeline_path = find_timeline(source)
    timeline = read_prompts(timeline_path, prompt)
    sources = sources_by_object((*timeline.sources, *request.objects), timeline.objects)
    _check_given(request, options, timeline, sources)
    inputs = [path for path in (source, timeline_path, options.hrtf) if path is not None]
    inputs += [item.file for item in sources.values()]
    made = request.deliveries
    check_options(request, options.render, options.levels, options.hrtf is not None)
    check_outputs(request, inputs, overwrite=options.overwrite, subtype=options.subtype)
    if options.sidecar and str(out) == STANDARD_STREAM:
        raise InputError("standard output has no file beside it for a report, expected a file name as the output")
    if options.sidecar:
        check_new_file(sidecar_path(made[0].path), inputs, overwrite=options.overwrite)
    if request.page is not None:
        _check_page(request.page, request, inputs, options.overwrite)
    warn_of_doubts(timeline, strict=options.strict, stacklevel=1, given=sources)
    check_names(request, timeline.objects, inputs, overwrite=options.overwrite)
    with contextlib.ExitStack() as stack:
        given = None if request.has_input else open_sources(sources)
        reader = stack.enter_context(
            AudioReader(source, options.excerpt.track) if given is None else SourceMix(given, source)
        )
        if sources and given is None:
            given = open_sources(sources, reader.sample_rate_hz)
        rate_hz = reader.sample_rate_hz
        num_samples = reader.count_frames()
        if options.longest_s is not None and num_samples > options.longest_s * rate_hz:
            raise AudioError(
                f"{reader.name}: {num_samples / rate_hz:.1f} s of sound, expected {options.longest_s:g} s or less"
            )
        passage = options.excerpt.span(reader, num_samples)
        forms = tuple(_output_form(delivery, reader, options, passage) for delivery in made)
        if options.render.keeps_stereo:
            _check_stereo(request, options, reader)
        elif options.excerpt.channel is None and reader.num_channels > 1:
            warnings.warn(f"{reader.name}: {reader.num_channels} channels mixed down to mono", stacklevel=3)
        if given is not None and request.has_input:
            given.check_sum(mono_pieces(reader, options.excerpt.channel), reader.name, num_samples)
            reader.seek(0)
        timeline = timeline.resolved(num_samples / rate_hz)
        timeline, render = choose_renderer(timeline, _with_head(options, timeline), rate_hz)
        if timeline.overlapping(passage[0] / rate_hz, passage[1] / rate_hz) is None:
            span = f"from {clock_time(passage[0] / rate_hz)} to {clock_time(passage[1] / rate_hz)}"
            warnings.warn(f"{reader.name}: no prompt holds {span}; all of it stays in the center", stacklevel=3)
        stems = request.stems is not None or any(delivery.format.name != BINAURAL for delivery in made)
        render = replace(render, stems=stems)
        yield PreparedFile(request, reader, timeline, num_samples, passage, forms, render, options, given)


def _check_given(
    request: FileRequest, options: FileOptions, timeline: Timeline, sources: Mapping[str, SourceFile]
) -> None:
    """See that every object has a sound where there is no input, and that no option is about one.

    Raises:
        InputError: one has none, or an option acts on nothing.
    """
    if options.separator is not None and options.render.steps is not None:
        raise InputError("a number of steps and a separator were given, expected one of them")
    if request.has_input:
        return
    if options.separator is not None:
        raise InputError("a separator was given, and there is no input for it; expected none")
    if not sources:
        raise InputError("no input and no sounds of objects, expected one of them", remedy="input")
    missing = [name for name in timeline.objects if name not in sources]
    if missing:
        raise InputError(
            f"'{missing[0]}' has a place and no sound, and there is no input to find it in; expected a file for it",
            remedy="object",
        )
    for name, value in (("channel", options.excerpt.channel), ("track", options.excerpt.track)):
        if value is not None:
            raise InputError(f"a {name} of the input was given, and there is no input; expected none")
    if options.render.steps is not None:
        raise InputError("a number of steps was given, and there is no input for a network; expected none")


def _check_stereo(request: FileRequest, options: FileOptions, reader: AudioReader) -> None:
    """See that there is stereo that can stay.

    Raises:
        InputError: the input has not two channels, or one of them is to be taken; or a format other than binaural.
    """
    if options.excerpt.channel is not None:
        raise InputError("one channel was asked for, and both are to stay; expected one of the two")
    if request.has_input and reader.num_channels != 2:
        channels = f"{reader.num_channels} channel{'s' * (reader.num_channels != 1)}"
        raise InputError(f"{reader.name}: {channels}, expected two that can stay")
    others_made = [made.format.name for made in request.deliveries if made.format.name != BINAURAL]
    if others_made:
        raise InputError(f"stereo can stay in two ears, and not in {others_made[0]}; expected binaural alone")


def input_pieces(prepared: PreparedFile, meter: MixdownMeter | None = None) -> Iterator[np.ndarray]:
    """The input from where its reader is, block by block: (time), or (channel, time) where stereo is to stay."""
    if not prepared.render.keeps_stereo:
        yield from mono_pieces(prepared.reader, prepared.options.excerpt.channel, meter)
        return
    while (block := prepared.reader.read(prepared.reader.at_once(READ_FRAMES))).shape[1]:
        yield block


def mono_pieces(reader: AudioReader, channel: int | None, meter: MixdownMeter | None = None) -> Iterator[np.ndarray]:
    """The file from where the reader is, block by block, (time): one channel, or the mean of all, which is measured."""
    while (block := reader.read(reader.at_once(READ_FRAMES))).shape[1]:
        if channel is not None:
            yield block[channel - 1]
            continue
        mono = to_mono(block)
        if len(block) > 1 and meter is not None:
            meter.add(block, mono)
        yield mono


def _output_form(
    delivery: Delivery, reader: AudioReader, options: FileOptions, passage: tuple[int, int]
) -> AudioFormat | None:
    """What an output is going to hold, if it is one file of sound; a film also has the picture of the input.

    Warns:
        UserWarning: the sound is resampled.

    Raises:
        InputError: a film of less than the whole; an encoder that is missing.
    """
    out, name = delivery.path, delivery.format.name
    if not delivery.format.has_mix:
        return None
    start, stop = passage
    rate_hz = reader.sample_rate_hz
    if name == "adm" and rate_hz != ADM_RATE_HZ:
        warnings.warn(f"{reader.name}: resampled from {rate_hz} Hz to {ADM_RATE_HZ} Hz, that of adm", stacklevel=3)
    subtypes = delivery.format.subtypes
    subtype = subtypes[0] if subtypes else output_subtype(out, reader.subtype)
    if options.subtype is not None and delivery.format.takes(options.subtype):
        subtype = options.subtype
    form = AudioFormat(rate_hz, 2, stop - start, subtype, reader.tags)
    if name not in (BINAURAL, "stereo"):
        return mix_format(delivery, form)
    form = _with_film(out, form, reader, passage)
    check_encoder(out, form)
    return form


def _with_film(out: Path, form: AudioFormat, reader: AudioReader, passage: tuple[int, int]) -> AudioFormat:
    """The same with the picture of the input, where the output is a film."""
    start, stop = passage
    rate_hz = reader.sample_rate_hz
    encoding = output_encoding(out)
    if encoding is None or not encoding.has_picture:
        return form
    if isinstance(reader, SourceMix):
        raise InputError(f"{out}: a film has the picture of the input, and there is none; expected a file of sound")
    source = reader.source.path or reader.source.file
    film = Film(source, reader.name, probe(source), reader.track)
    check_film(out, film)
    if passage != (0, reader.num_frames):
        cut = f"-ss {round(start / rate_hz, 3):.9g} -t {round((stop - start) / rate_hz, 3):.9g}"
        raise InputError(
            f"{out}: a passage of a film, whose picture can be copied as a whole only; expected a file of sound such as"
            f" .m4a or .wav, or the passage as a film of its own, which 'ffmpeg -i {reader.name} {cut} CUT.mp4' makes"
        )
    return replace(form, film=film)


def read_prompts(timeline_path: Path | None, prompt: str | None) -> Timeline:
    """The timeline of a file, or the one that a prompt is.

    Raises:
        InputError: it cannot be read.
    """
    if timeline_path is not None:
        return load_timeline(timeline_path)
    try:
        return Timeline.from_prompt(prompt or "")
    except PromptError as error:
        raise PromptError(f"prompt: {error}") from error


def _with_head(options: FileOptions, timeline: Timeline) -> RenderSettings:
    """Settings of the rendering with the head that they need: its plane, or all of its directions."""
    if options.hrtf is not None and wants_sphere(timeline, options.render):
        state = os.stat(options.hrtf) if options.hrtf.exists() else None
        changed = (state.st_mtime_ns, state.st_size) if state else (0, 0)
        return replace(options.render, head=_read_whole_head(options.hrtf, os.path.abspath(options.hrtf), changed))
    return replace(options.render, head=options.render.head or read_head(options.hrtf))


@lru_cache(maxsize=1)
def _read_whole_head(path: Path, where: str, changed: tuple[int, int]) -> HrirSet:
    """All directions of a head, read once for all files; again where the file is another or has changed."""
    del where, changed  # parts of the key
    from tas_core.acoustics.sofa import read_sofa

    return read_sofa(path, everywhere=True)


def read_head(path: Path | None) -> HrirSet | None:
    """The horizontal plane of the head of a SOFA file; None where there is no file.

    Raises:
        InputError: as :func:`tas_core.acoustics.sofa.read_sofa`.
    """
    if path is None:
        return None
    from tas_core.acoustics.sofa import read_sofa

    return read_sofa(path)


def _check_page(page: Path, request: FileRequest, inputs: list[Path], overwrite: bool) -> None:
    """See that the report page of a request can be made."""
    from tas_core.reporting.report.page import check_report_path

    if all(delivery.format.name != BINAURAL for delivery in request.deliveries):
        raise InputError("a report page plays two ears, expected binaural among the formats")
    if STANDARD_STREAM in (str(request.source) if request.has_input else "", str(request.out)):
        raise InputError("a report page is made of two files, expected names for the input and the output")
    check_report_path(page, [*inputs, *(delivery.path for delivery in request.deliveries)], overwrite=overwrite)
