"""Sound taggers that packages bring along with their weights; none of them is a dependency of tas.

``aisfx`` (Ma and Lerch, ISMIR 2022) was trained on libraries of sound effects, sorted by the Universal Category System.
The package gives out its embedding; its weights hold the answers too, and not their names. They are those of the
system's groups in alphabetical order without the few that a library lacks: so ordered they agree with the catalogue far
better than in any other order tried (docs/TRAINING.md).
``musicnn`` (Pons and Serra, 2019) was trained on the tags of MagnaTagATune, names of instruments and voices among them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from tas_core.errors import InputError
from tools.tagging.recordings import Sound, at_rate

# fmt: off
UCS = (
    "AIR", "AIRCRAFT", "ALARMS", "AMBIENCE", "ANIMALS", "ARCHIVED", "BEEPS", "BELLS", "BIRDS", "BOATS", "BULLETS",
    "CARTOON", "CERAMICS", "CHAINS", "CHEMICALS", "CLOCKS", "CLOTH", "COMMUNICATIONS", "COMPUTERS", "CREATURES",
    "CROWDS", "DESIGNED", "DESTRUCTION", "DIRT & SAND", "DOORS", "DRAWERS", "ELECTRICITY", "EQUIPMENT",
    "EXPLOSIONS", "FARTS", "FIGHT", "FIRE", "FIREWORKS", "FOLEY", "FOOD & DRINK", "FOOTSTEPS", "GAMES",
    "GEOTHERMAL", "GLASS", "GORE", "GUNS", "HORNS", "HUMAN", "ICE", "LASERS", "LEATHER", "LIQUID & MUD",
    "MACHINES", "MAGIC", "MECHANICAL", "METAL", "MOTORS", "MOVEMENT", "MUSICAL", "NATURAL DISASTER", "OBJECTS",
    "PAPER", "PLASTIC", "RAIN", "ROBOTS", "ROCKS", "ROPE", "RUBBER", "SCIFI", "SNOW", "SPORTS", "SWOOSHES",
    "TOOLS", "TOYS", "TRAINS", "USER INTERFACE", "VEGETATION", "VEHICLES", "VOICES", "WATER", "WEAPONS",
    "WEATHER", "WHISTLES", "WIND", "WINDOWS", "WINGS", "WOOD",
)
# fmt: on
"""Groups of the Universal Category System, version 8."""
ABSENT = {"prosfx": ("ARCHIVED", "CHAINS", "LEATHER", "WINGS"), "soundlyTrain": ("ARCHIVED", "FOLEY", "GEOTHERMAL")}
"""Groups that the libraries of two sets of answers lack, found with their order."""


class Answer(NamedTuple):
    """Embedding (dimension) and scores (label) of a sound, float32."""

    embedding: np.ndarray
    score: np.ndarray


class Tagger(Protocol):
    """A network that hears a sound."""

    labels: tuple[str, ...]
    longest_s: float

    def hear(self, sound: Sound) -> Answer:
        """What it makes of a sound."""
        ...


class Aisfx:
    """Embeddings and groups by ``aisfx`` 0.1.2, from spectrograms as in its paper (essentia's, not librosa's)."""

    labels = UCS
    longest_s = 4.6
    _RATE_HZ, _FRAME, _HOP, _BANDS, _BLOCK = 44100, 2048, 1024, 96, 100
    _HIGHEST = 9.457798957824707
    """Value of a spectrogram that its training scaled to 1."""

    def __init__(self) -> None:
        import torch
        from aisfx.inference import load_weights
        from aisfx.models.cnn2d import CrossNet, EmbeddingNet
        from essentia import log, standard

        torch.set_num_threads(1)
        log.infoActive = log.warningActive = False
        # The package's own loader: beside tensors its file holds whole numbers of NumPy's, and nothing else is let in.
        numbers = [(np._core.multiarray.scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Int64DType]
        with torch.serialization.safe_globals(numbers):
            weights, heads = load_weights("cpu")
        network = CrossNet(EmbeddingNet("max", 3, 1, 64), heads, "cpu")
        network.load_state_dict(weights)
        self._network = network.eval()
        self._torch, self._essentia = torch, standard
        self._window = standard.Windowing(type="hann", normalized=False)
        self._spectrum = standard.Spectrum(size=self._FRAME)
        self._bands = standard.MelBands(
            inputSize=self._FRAME // 2 + 1,
            numberBands=self._BANDS,
            sampleRate=self._RATE_HZ,
            lowFrequencyBound=0,
            highFrequencyBound=self._RATE_HZ / 2,
            warpingFormula="htkMel",
            weighting="warping",
            normalize="unit_sum",
            type="power",
            log=False,
        )

    def hear(self, sound: Sound) -> Answer:
        """The means over blocks of 2.3 s, the last one padded."""
        samples = at_rate(sound, self._RATE_HZ)
        frames = self._essentia.FrameGenerator(samples, frameSize=self._FRAME, hopSize=self._HOP, startFromZero=False)
        bands = np.array([self._bands(self._spectrum(self._window(frame))) for frame in frames], np.float32)
        spectrogram = np.log10(1e4 * bands.reshape(-1, self._BANDS) + 1) / self._HIGHEST
        blocks = blocks_of(spectrogram, self._BLOCK)
        with self._torch.no_grad():
            embedding = self._network.get_embedding(self._torch.from_numpy(blocks))
            heads = {name: self._network.fc[int(self._network.ds_dict[name][0])] for name in ABSENT}
            answers = {name: head(embedding).log_softmax(dim=1).mean(0).numpy() for name, head in heads.items()}
        return Answer(embedding.mean(0).numpy(), answers_by_name(answers, ABSENT))


class Musicnn:
    """Tags of ``musicnn`` 0.1.0, its network trained on MagnaTagATune."""

    longest_s = 6.0
    _MODEL, _RATE_HZ, _FRAME, _HOP, _BANDS, _BLOCK = "MTT_musicnn", 16000, 512, 256, 96, 187

    def __init__(self) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import librosa
        import musicnn
        import tensorflow
        from musicnn import configuration, models

        self._spectrogram = librosa.feature.melspectrogram
        tf = tensorflow.compat.v1
        tf.disable_eager_execution()
        self.labels = tuple(configuration.MTT_LABELS)
        self._input = tf.placeholder(tf.float32, [None, self._BLOCK, self._BANDS])
        self._training = tf.placeholder(tf.bool)
        with tf.name_scope("model"):
            logits, *layers = models.define_model(self._input, self._training, self._MODEL, len(self.labels))
        self._outputs = [logits, layers[-1]]
        self._session = tf.Session(
            config=tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        )
        tf.train.Saver().restore(self._session, str(Path(musicnn.__file__).parent / self._MODEL) + "/")

    def hear(self, sound: Sound) -> Answer:
        """The mean over blocks of 3 s; what is shorter is repeated."""
        samples = at_rate(sound, self._RATE_HZ)
        samples = np.resize(samples, max(len(samples), self._BLOCK * self._HOP))
        bands = self._spectrogram(
            y=samples, sr=self._RATE_HZ, hop_length=self._HOP, n_fft=self._FRAME, n_mels=self._BANDS
        )
        whole = np.log10(1e4 * bands.T + 1)
        blocks = blocks_of(whole[: max(1, len(whole) // self._BLOCK) * self._BLOCK], self._BLOCK)
        logits, embedding = self._session.run(self._outputs, {self._input: blocks, self._training: False})
        return Answer(embedding.mean(0), logits.mean(0))


def answers_by_name(answers: Mapping[str, np.ndarray], absent: Mapping[str, Sequence[str]]) -> np.ndarray:
    """The mean of several sets of answers for each group of :data:`UCS`, float32 (group).

    Args:
        answers: logarithms of probabilities (answer) by set, in the order of the groups.
        absent: groups that a set has no answer for, by set.

    Returns:
        What no set answers for gets the lowest answer of all.

    Raises:
        ValueError: a set of another number of answers.
    """
    total, count = np.zeros(len(UCS)), np.zeros(len(UCS))
    for name, values in answers.items():
        there = np.array([group not in absent[name] for group in UCS])
        if there.sum() != len(values):
            raise ValueError(f"{name} has {len(values)} answers, expected {there.sum()}")
        total[there] += values
        count[there] += 1
    lowest = min(float(values.min()) for values in answers.values())
    return np.where(count > 0, total / np.maximum(count, 1), lowest).astype(np.float32)


def blocks_of(spectrogram: np.ndarray, size: int) -> np.ndarray:
    """A spectrogram (frame, band) in blocks (block, frame, band), the last one filled up with zeros."""
    count = max(1, -(-len(spectrogram) // size))
    padded = np.zeros((count * size, spectrogram.shape[1]), np.float32)
    padded[: len(spectrogram)] = spectrogram
    return padded.reshape(count, size, -1)


TAGGERS: dict[str, type[Aisfx] | type[Musicnn]] = {"aisfx": Aisfx, "musicnn": Musicnn}
NEEDS = {
    "aisfx": "aisfx 0.1.2, essentia and torch from 2.6 on",
    "musicnn": "musicnn 0.1.0, tensorflow-cpu 2.15 and librosa",
}


def open_tagger(name: str) -> Tagger:
    """A tagger by its name.

    Raises:
        InputError: one of its packages is not installed here.
    """
    try:
        return TAGGERS[name]()
    except ImportError as error:
        raise InputError(f"{name}: {error}; expected {NEEDS[name]}, see docs/TRAINING.md") from error
