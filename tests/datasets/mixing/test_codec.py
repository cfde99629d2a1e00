from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tas_core.datasets.mixing import codec
from tas_core.datasets.mixing.codec import FRAME, decode_clips, encode_clips, inverse_mdct, mdct

RATE_HZ = 16000
TIME = 20000


def _clips() -> Tensor:
    """A chord that decays, knocks in silence, noise with a falling spectrum, a whisper of noise; int16 (clip, time)."""
    rng = np.random.default_rng(3)
    time_s = np.arange(TIME) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * f * time_s) for f in (220, 277.2, 329.6, 1318.5)) * np.exp(-2 * time_s)
    knocks = np.zeros(TIME)
    for at in (3000, 9000, 15500):
        knocks[at : at + 400] = rng.standard_normal(400) * np.exp(-np.arange(400) / 60)
    falling = np.cumsum(rng.standard_normal(TIME)) * 0.02
    falling -= np.convolve(falling, np.ones(200) / 200, "same")
    whisper = rng.standard_normal(TIME)
    sounds = [chord, knocks, falling, whisper]
    return torch.from_numpy(np.stack([np.round(x / np.abs(x).max() * 0.9 * 32767) for x in sounds])).to(torch.int16)


def _snr_db(clips: Tensor, back: Tensor) -> Tensor:
    error = (clips.double() - back.double()).square().sum(dim=1)
    return 10 * torch.log10(clips.double().square().sum(dim=1) / error)


@pytest.mark.parametrize("time", [1, 511, 512, 513, 5000])
def test_the_transform_gives_back_the_signal_and_keeps_its_energy(time: int) -> None:
    x = torch.randn(2, time, generator=torch.Generator().manual_seed(0))
    spectrum = mdct(x)
    assert spectrum.shape[-1] == FRAME
    torch.testing.assert_close(inverse_mdct(spectrum, time), x, rtol=0, atol=1e-5)
    assert float(spectrum.square().sum()) == pytest.approx(float(x.square().sum()), rel=1e-4)


def test_the_transform_puts_a_tone_into_its_bin() -> None:
    bin_number = 100
    x = torch.cos(2 * torch.pi * (bin_number + 0.5) / (2 * FRAME) * torch.arange(8 * FRAME))
    power = mdct(x)[2:-2].square().sum(dim=0)
    assert int(power.argmax()) == bin_number
    assert float(power[bin_number - 3 : bin_number + 4].sum() / power.sum()) > 0.99


def test_coded_sounds_come_back_nearly_as_they_were() -> None:
    """The floor: at a clip's own level the step is 2^1.5 below sigma, and uniform noise of step^2 / 12 is 19.8 dB
    below the signal. Levels are rounded to 3 dB steps, which costs 1.5 dB at most; rounding up from 0.65 instead of 0.5
    costs (1/12 + 0.15^2) / (1/12), 1.0 dB. Louder bands are better by half their level. Flat noise comes closest.
    """
    clips = _clips()
    back = decode_clips(encode_clips(clips))
    assert back.shape == clips.shape
    assert back.dtype == torch.int16
    floor_db = 19.8 - 1.5 - 1.0
    assert min(_snr_db(clips, back).tolist()) > floor_db
    # Sounds with a spectrum that falls, as nearly all do, are better.
    assert float(_snr_db(clips, back)[2]) > floor_db + 3


def test_silence_stays_silent() -> None:
    clips = torch.zeros(2, TIME, dtype=torch.int16)
    clips[1, :4000] = _clips()[0, :4000]
    back = decode_clips(encode_clips(clips))
    assert int(back[0].abs().max()) == 0
    assert int(back[1, 4000 + 2 * FRAME :].abs().max()) == 0


def test_the_spectrum_keeps_its_shape() -> None:
    """Power in each octave within 1.5 dB, also where coefficients became zero: no holes."""
    clips = _clips()[2:]
    back = decode_clips(encode_clips(clips))
    for clip, other in zip(clips.float(), back.float(), strict=True):
        one, two = (torch.fft.rfft(x).abs().square() for x in (clip, other))
        edges = [len(one) * 2**-k for k in range(6, -1, -1)]
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            at = slice(round(low), round(high))
            assert abs(10 * float(torch.log10(two[at].sum() / one[at].sum()))) < 1.5


def test_the_code_is_small() -> None:
    coded = encode_clips(_clips())
    rates = coded.size * 8 / (4 * TIME / RATE_HZ)
    # Two of the four are noise, which cannot be coded below log2(sigma / step) + 2 bits, here 3 x 16000.
    assert rates < 36_000


def test_decoding_is_deterministic_and_leaves_random_numbers_alone() -> None:
    coded = encode_clips(_clips())
    state = torch.get_rng_state()
    first = decode_clips(coded)
    torch.manual_seed(123)
    assert torch.equal(decode_clips(coded), first)
    torch.set_rng_state(state)
    decode_clips(coded)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_clip_does_not_depend_on_those_coded_with_it() -> None:
    clips = _clips()
    # Only the noise in place of zeros is drawn for a block as a whole; the first clip gets the same.
    assert torch.equal(decode_clips(encode_clips(clips[:1]))[0], decode_clips(encode_clips(clips))[0])


def test_a_damaged_stream_is_a_value_error() -> None:
    coded = encode_clips(_clips())
    with pytest.raises(ValueError, match="damaged stream"):
        decode_clips(replace(coded, coefficients=coded.coefficients[:-40]))
    with pytest.raises(ValueError):  # noqa: PT011
        decode_clips(replace(coded, shape=(4, TIME // 2)))


def test_bands_cover_a_frame_once() -> None:
    assert codec._EDGES[0] == 0
    assert codec._EDGES[-1] == FRAME
    assert np.all(np.diff(codec._EDGES) > 0)
