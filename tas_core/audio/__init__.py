"""Sound files in and out, block by block, and the samples in them: resampling, levels."""

from tas_core.audio.formats import AudioFormat
from tas_core.audio.reader import Audio, AudioReader, read_audio
from tas_core.audio.resampling import resample, to_mono
from tas_core.audio.writer import AudioWriter, peak, write_audio

__all__ = [
    "Audio",
    "AudioFormat",
    "AudioReader",
    "AudioWriter",
    "peak",
    "read_audio",
    "resample",
    "to_mono",
    "write_audio",
]
