"""Pictures of files: read, check, compute, draw, write.

Everything that can be wrong with the request is checked before matplotlib is imported and before anything is
written.
"""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tas_core.audio.reader import read_audio
from tas_core.audio.resampling import require_ears
from tas_core.errors import InputError, warnings_about
from tas_core.reporting.plots.curves import PlotData, Source, check_kind, plot_data
from tas_core.reporting.plots.pictures import picture_format
from tas_core.system.files import check_new_file, same_file, write_files
from tas_core.timeline.doubts import warn_of_doubts
from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Timeline

if TYPE_CHECKING:
    from tas_core.reporting.plots.curves import TableRow

REFERENCE_LABEL = "reference"
_LENGTH_TOLERANCE_S = 0.1


@dataclass(frozen=True)
class PlottedFiles:
    """What a picture is made of.

    Args:
        sources: files of two channels, at least one.
        timelines: none, one for all sources, or one for each.
        reference: file of two channels to compare with.
        labels: none, one for each source, or one more for the reference. By default file names without endings.
        start_s: where the sources begin in what they are passages of, seconds, which timelines are of.
    """

    sources: Sequence[Path]
    timelines: Sequence[Path] = ()
    reference: Path | None = None
    labels: Sequence[str] = ()
    start_s: float = 0.0

    @property
    def paths(self) -> list[Path]:
        """All files that are read."""
        return [*self.sources, *self.timelines, *([self.reference] if self.reference else [])]

    def read(self) -> list[Source]:
        """The sounds with their labels and timelines, the reference last.

        Warns:
            UserWarning: the reference is longer or shorter than a source by more than 0.1 s; doubts about a timeline.

        Raises:
            InputError: files that cannot be read or drawn, or that do not fit together.
        """
        count = len(self.sources)
        if len(self.timelines) not in (0, 1, count):
            raise InputError(
                f"{len(self.timelines)} timelines for {count} sounds, expected one for all or one for each"
            )
        names = _labels(self.sources, self.labels, self.reference)
        timelines: list[Timeline | None] = [load_timeline(path) for path in self.timelines] or [None]
        for timeline in filter(None, timelines):
            warn_of_doubts(timeline)
        if len(timelines) == 1:
            timelines *= count
        sounds = [_read(*each) for each in zip(self.sources, names, timelines, strict=False)]
        if self.reference is not None:
            compared = _read(self.reference, names[-1], None, is_reference=True)
            for path, sound in zip(self.sources, sounds, strict=True):
                if abs(sound.duration_s - compared.duration_s) > _LENGTH_TOLERANCE_S:
                    warnings.warn(
                        f"{path} is {sound.duration_s:.2f} s long and the reference {self.reference}"
                        f" {compared.duration_s:.2f} s; both are drawn from their beginnings",
                        stacklevel=3,
                    )
            sounds.append(compared)
        return sounds


def plot_files(
    files: PlottedFiles, out: Path, kind: str, *, csv_out: Path | None = None, title: str = "", overwrite: bool = False
) -> PlotData:
    """Draw binaural files, and write the numbers of the picture as a table.

    Args:
        files: what is drawn.
        out: picture; its ending is one of :data:`tas_core.reporting.plots.pictures.FORMATS`.
        kind: one of :data:`tas_core.reporting.plots.curves.KINDS`.
        csv_out: table, see :func:`table`.
        title: above the picture.
        overwrite: whether existing outputs may be replaced.

    Warns:
        UserWarning: as :meth:`PlottedFiles.read`; no installed font has a character, or a timeline outlasts the sound.

    Raises:
        InputError: anything about the request that cannot be carried out; nothing is written then.
        TasError: writing failed.
    """
    check_kind(kind)
    format = picture_format(out)
    check_new_file(out, files.paths, overwrite=overwrite)
    if csv_out is not None:
        check_new_file(csv_out, files.paths, overwrite=overwrite)
        if same_file(csv_out, out):
            raise InputError(f"{csv_out}: the table is the picture, expected another file")
    data = plot_data(kind, files.read(), files.start_s)
    from tas_core.reporting.plots.figures import draw

    with warnings_about(str(out)):
        contents = {out: draw(data, format, title=title)}
    if csv_out is not None:
        contents[csv_out] = table(data).encode("utf-8", "replace")
    write_files(contents, overwrite=overwrite)
    return data


def table(data: PlotData) -> str:
    """The numbers of a picture as CSV: a header, then a row per window; silence is an empty cell.

    The columns after ``time_s`` (centre of the window, seconds) and ``label`` depend on the kind:

    - ``spl``: ``spl_difference_db``, positive left; ``inf`` or ``-inf`` where one ear is silent.
    - ``envelope``: ``left`` and ``right``, full scale 1.
    - ``spectrogram``: ``frequency_hz`` and ``level_db``, a row per window and frequency; 0 dB is a sine of amplitude 1.
    - ``azimuth``: ``object`` and ``azimuth_deg``, positive left. An empty object is the estimate for the whole sound;
      a row for every object that a prompt names at that time is the requested azimuth.
    - ``places``: ``object``, ``azimuth_deg``, ``elevation_deg``, ``distance_m`` and ``spread``, a row for every object
      that a prompt gives a place at that time.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(data.columns)
    writer.writerows(map(_cells, data.rows()))
    return text.getvalue()


def _cells(row: TableRow) -> list[str]:
    time_s, *values = row
    cells = [value if isinstance(value, str) else "" if math.isnan(value) else f"{value:.6g}" for value in values]
    return [f"{time_s:.6f}", *cells]


def _read(path: Path, label: str, timeline: Timeline | None, is_reference: bool = False) -> Source:
    audio = read_audio(path)
    require_ears(path, len(audio.samples))
    return Source(label, audio.samples, audio.sample_rate_hz, timeline, is_reference)


def _labels(sources: Sequence[Path], labels: Sequence[str], reference: Path | None) -> list[str]:
    """A label for each source and the reference: those given, else the shortest part of the paths that tells."""
    wanted = len(sources) + (reference is not None)
    if labels:
        if len(labels) not in (len(sources), wanted):
            count = f"{len(labels)} label{'s' * (len(labels) != 1)}"
            raise InputError(f"{count} for {len(sources)} sounds, expected one for each", remedy="label")
        names = list(labels)
        if len(names) < wanted:
            names.append(REFERENCE_LABEL)
    else:
        stems, files, whole = [p.stem for p in sources], [p.name for p in sources], [str(p) for p in sources]
        names = next((n for n in (stems, files) if len(set(n)) == len(n)), whole)
        if reference is not None:
            names = [*names, str(reference) if REFERENCE_LABEL in names else REFERENCE_LABEL]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"the label {name!r} is given twice, expected a different one for each sound", remedy="label"
            )
    return names
