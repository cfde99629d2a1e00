from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import signal as scipy_signal
from torch import Tensor

from tas_core.acoustics.stft import stft
from tas_core.datasets.mixing import draws as draws_module
from tas_core.datasets.mixing.composition import SceneComposer, in_one_buffer, on_device, part_of
from tas_core.datasets.mixing.draws import (
    COMPOSITIONS,
    CompositionConfig,
    Material,
    SceneDrawer,
    SceneDraws,
    summed_energies,
)
from tas_core.datasets.mixing.phrases import REST_PHRASES
from tas_core.datasets.mixing.room_bank import RoomBank, build_rooms
from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.tasbench.captions import STYLES, CaptionedObject, Captioner, said_azimuth_deg
from tas_core.errors import InputError
from tas_core.models.scene_batch import SceneBatch
from tas_core.timeline.prompts import parse_prompt
from tests.support.tiny import CATEGORIES, RATE_HZ, dry_rooms, phrase_table, tone_bank

BANK = tone_bank()
PHRASES = phrase_table()
WINDOW_S = 1.0


@pytest.fixture(scope="module")
def rooms() -> RoomBank:
    return build_rooms(2, 5, length_s=0.1, seed=0)


def _composer(rooms: RoomBank, seed: int = 0, split: str = "train", **settings: object) -> SceneComposer:
    config = CompositionConfig(**{"window_s": WINDOW_S, **settings})  # type: ignore[arg-type]
    return SceneComposer(Material(BANK, rooms, PHRASES, load_categories()), split, config, seed)  # type: ignore[arg-type]


def _same(a: SceneBatch | SceneDraws, b: SceneBatch | SceneDraws) -> bool:
    def equal(x: object, y: object) -> bool:
        return torch.equal(x, y) if isinstance(x, Tensor) and isinstance(y, Tensor) else x == y

    return all(equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


# ------------------------------------------------------------------ determinism


def test_a_batch_depends_on_seed_and_step_only(rooms: RoomBank) -> None:
    composer = _composer(rooms)
    first = composer.compose(3, 4)
    composer.compose(17, 2)
    assert _same(composer.compose(3, 4), first)
    assert _same(_composer(rooms).compose(3, 4), first)
    assert not torch.equal(composer.compose(4, 4).mid, first.mid)
    assert not torch.equal(_composer(rooms, seed=1).compose(3, 4).mid, first.mid)


def test_batches_are_the_same_in_any_order_and_thread(rooms: RoomBank) -> None:
    straight = [_composer(rooms).compose(step, 2) for step in range(6)]
    composer = _composer(rooms)
    with ThreadPoolExecutor(3) as pool:
        jobs = {step: pool.submit(composer.compose, step, 2) for step in (5, 0, 3, 1, 4, 2)}
        for step, job in jobs.items():
            assert _same(job.result(), straight[step])


def test_batches_do_not_depend_on_the_number_of_threads(rooms: RoomBank) -> None:
    before = torch.get_num_threads()
    drawn = []
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            drawn.append(_composer(rooms, equalised_share=1.0).compose(0, 8))
    finally:
        torch.set_num_threads(before)
    assert drawn[0].prompts == drawn[1].prompts
    # Sums may be rounded differently; what is drawn may not.
    torch.testing.assert_close(drawn[0].mid, drawn[1].mid, rtol=0, atol=1e-5)


def test_the_global_random_state_is_not_touched(rooms: RoomBank) -> None:
    before = torch.get_rng_state()
    batch = _composer(rooms).compose(0, 2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(999)
    assert _same(_composer(rooms).compose(0, 2), batch)


def test_captions_change_nothing_else(rooms: RoomBank) -> None:
    draws = _composer(rooms).draw(3, 4)
    composer = SceneComposer(
        Material(BANK, rooms, PHRASES, load_categories()), "train", CompositionConfig(window_s=WINDOW_S), captions=False
    )
    without = composer.draw(3, 4)
    assert without.prompts == ()
    assert _same(replace(draws, prompts=()), without)
    assert composer.compose(3, 4).prompts == ()


def test_tensors_arrive_on_a_device_as_they_were() -> None:
    """All copied at once, of any type, empty ones too; a device without storage stands for one of another kind."""
    tensors = {
        "empty": torch.zeros(0, 2, dtype=torch.int64),
        "flags": torch.tensor([True, False, True]),
        "numbers": torch.arange(5)[1:4],
        "turned": torch.arange(6.0).reshape(2, 3).T,
    }
    there = on_device(tensors, torch.device("meta"))
    for name, value in tensors.items():
        assert there[name].device.type == "meta"
        assert (there[name].shape, there[name].dtype) == (value.shape, value.dtype)
    together, spans = in_one_buffer(tensors, pinned=False)
    for (name, value), span in zip(tensors.items(), spans, strict=True):
        assert torch.equal(part_of(together, span, value), value), name
    assert on_device(tensors, torch.device("cpu")) is tensors


@pytest.mark.parametrize("at_once", [1, 5000, 1 << 19])
def test_energies_of_blocks_are_sums_of_their_mean_squares(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """However many are taken at once, and to the bit what each clip by itself gives."""
    monkeypatch.setattr(draws_module, "_AT_ONCE", at_once)
    bank = replace(BANK, length=BANK.length - torch.arange(len(BANK.length)) * 37)
    clips = [4, 0, 7, 21]
    found = summed_energies(bank, clips, 800)
    assert list(found) == clips
    for clip in clips:
        sound = bank.clip(clip)
        padded = torch.nn.functional.pad(sound, (0, -len(sound) % 800)).reshape(-1, 800)
        expected = np.cumsum(padded.square().mean(dim=1).double().numpy())
        assert np.array_equal(found[clip], np.concatenate([[0.0], expected])), clip
        exact = np.square(bank.samples[int(bank.start[clip]) :][: int(bank.length[clip])].double().numpy() / 32767)
        np.testing.assert_allclose(found[clip][-1] * 800, exact.sum(), rtol=1e-6)


def test_material_of_other_objects_is_refused_by_name(rooms: RoomBank) -> None:
    material = Material(replace(BANK, categories=("piano", "cello", "theremin", "glass harp", "church organ")), rooms,
                        PHRASES, load_categories())  # fmt: skip
    with pytest.raises(InputError, match=r"not in the catalogue: glass harp, theremin; it was made for other objects"):
        SceneComposer(material, "train")
    with pytest.raises(InputError, match="holds no clips for val"):
        SceneComposer(replace(material, bank=BANK.only("train")), "val")


def test_a_batch_is_its_decisions_rendered(rooms: RoomBank) -> None:
    composer = _composer(rooms)
    draws = composer.draw(3, 4)
    assert _same(composer.render(draws), composer.compose(3, 4))
    assert _same(_composer(rooms).draw(3, 4), draws)
    assert not _same(composer.draw(4, 4), draws)
    assert all(x.device.type == "cpu" for x in vars(draws).values() if isinstance(x, Tensor))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graphics_processor_renders_the_same_scenes(rooms: RoomBank) -> None:
    config = CompositionConfig(window_s=WINDOW_S, unnamed_share=0.3)
    there = SceneComposer(Material(BANK, rooms, PHRASES, load_categories()), "train", config, 0, torch.device("cuda"))
    here = _composer(rooms, unnamed_share=0.3)
    assert _same(there.draw(0, 8), here.draw(0, 8))
    one, other = there.compose(0, 8), here.compose(0, 8)
    assert one.mid.device.type == "cuda"
    assert one.prompts == other.prompts
    for name in ("stem_mid", "stem_side", "rest_mid", "clause_features", "azimuth_deg"):
        torch.testing.assert_close(getattr(one, name).cpu(), getattr(other, name), rtol=0, atol=1e-4)


def _reference(draws: SceneDraws, rooms: RoomBank, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mid and side of stems and mid of the rest of room-coloured scenes, one sound after another."""
    scenes = len(draws.prompts)
    mid, side = np.zeros((2, scenes, 5, window))
    rest = np.zeros((scenes, window))
    for i in range(len(draws.start)):
        start, span = int(draws.start[i]), int(draws.span[i])
        clip = BANK.samples[start : start + span].double().numpy() / 32767
        sound = np.interp((np.arange(window) + 0.5) * span / window - 0.5, np.arange(span), clip)
        begin, end = draws.gate[i].tolist()
        sound *= np.interp(np.arange(window), [begin, begin + 320], [0, 1])
        sound *= np.interp(np.arange(window), [end - 320, end], [1, 0])
        power = np.square(sound).reshape(-1, 1600).mean(axis=1)
        sound *= float(draws.gain[i]) / np.sqrt(power[power > 0.01 * power.max()].mean())
        ears = rooms.responses[int(draws.room[i]), int(draws.place[i])].double().numpy()
        left, right = (scipy_signal.fftconvolve(sound, ear)[:window] for ear in ears)
        b, slot = int(draws.scene[i]), int(draws.slot[i])
        if slot < 0:
            rest[b] += left + right
        else:
            mid[b, slot], side[b, slot] = left + right, left - right
    for b in range(scenes):
        if draws.rest_slot[b] >= 0:
            mid[b, draws.rest_slot[b]], rest[b] = rest[b], 0
    return mid, side, rest


def test_rendering_agrees_with_one_sound_after_another(rooms: RoomBank) -> None:
    settings = {"dry_share": 0.0, "equalised_share": 0.0, "gate_share": 0.7, "speed_share": 0.7, "unnamed_share": 0.4}
    composer = _composer(rooms, **settings)
    draws = composer.draw(5, 10)
    batch = composer.render(draws)
    assert bool((draws.rest_slot >= 0).any())
    assert bool((draws.span != composer.window).any())
    for found, expected in zip(
        (batch.stem_mid, batch.stem_side, batch.rest_mid), _reference(draws, rooms, composer.window), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-5)


# ------------------------------------------------------------------ augmentation


ALONE = {"object_shares": (1.0, 0.0, 0.0, 0.0), "absent_share": 0.0, "dry_share": 1.0}


def test_speed_moves_the_pitch_by_up_to_a_third_of_an_octave(rooms: RoomBank) -> None:
    composer = _composer(rooms, speed_share=1.0, gate_share=0.0, equalised_share=0.0, **ALONE)
    draws = composer.draw(0, 24)
    speed = draws.span / composer.window
    assert 2**-0.35 - 1e-3 < float(speed.min()) < 0.9
    assert 1.1 < float(speed.max()) < 2**0.35 + 1e-3
    batch = composer.render(draws)
    plain = composer.render(replace(draws, span=torch.full_like(draws.span, composer.window), start=draws.start * 0))
    assert plain.mid.shape == batch.mid.shape
    for b in range(24):
        clip = BANK.samples[draws.start[b] : draws.start[b] + draws.span[b]].double().numpy()
        before, after = (
            np.argmax(np.abs(np.fft.rfft(x * np.hanning(len(x)), 1 << 17))) for x in (clip, batch.mid[b].numpy())
        )
        assert after / before == pytest.approx(float(speed[b]), rel=0.01)


def test_without_augmentation_nothing_is_changed_but_level_and_sign(rooms: RoomBank) -> None:
    composer = _composer(rooms, augment=False, speed_share=1.0, gate_share=1.0, equalised_share=1.0)
    draws = composer.draw(0, 16)
    assert bool((draws.span == composer.window).all())
    assert bool((draws.gate[:, 0] <= -320).all())
    assert bool((draws.gate[:, 1] >= composer.window + 320).all())
    assert not draws.tone_db.any()
    assert 0.2 < float((draws.gain < 0).float().mean()) < 0.8


def test_gates_are_silent_outside_and_ramp_for_20_ms(rooms: RoomBank) -> None:
    composer = _composer(rooms, gate_share=1.0, speed_share=0.0, equalised_share=0.0, **ALONE)
    draws = composer.draw(0, 40)
    batch = composer.render(draws)
    window = composer.window
    late, early = draws.gate[:, 0] > 0, draws.gate[:, 1] < window
    assert bool((late & early).any())
    assert bool((late & ~early).any())
    assert bool((early & ~late).any())
    open_gate = composer.render(replace(draws, gate=torch.tensor([[-320.0, window + 320.0]]).expand(40, 2)))
    for b in range(40):
        begin, end = (round(x) for x in draws.gate[b].tolist())
        assert end - begin >= 0.5 * RATE_HZ - 1 or not (late[b] or early[b])
        sound, whole = batch.mid[b], open_gate.mid[b]
        if late[b]:
            assert float(sound[:begin].abs().max()) < 1e-5
        if early[b]:
            assert float(sound[end + 1 :].abs().max()) < 1e-5
        inside = slice(max(0, begin + 321), min(window, end - 321))
        # The same sound inside, but for the level, which counts active parts only.
        ratio = sound[inside] @ whole[inside] / whole[inside].square().sum()
        torch.testing.assert_close(sound[inside], ratio * whole[inside], rtol=0, atol=1e-5)


def test_sounds_are_as_loud_as_drawn_while_they_are_active(rooms: RoomBank) -> None:
    composer = _composer(rooms, level_spread_db=6.0, equalised_share=0.0, gate_share=0.8, **ALONE)
    draws = composer.draw(0, 24)
    level_db = 20 * torch.log10(draws.gain.abs() / 0.06)
    assert float(level_db.abs().max()) <= 6.0
    assert float(level_db.max() - level_db.min()) > 6.0
    for b, sound in enumerate(composer.render(draws).mid / 2):
        power = sound.reshape(-1, 1600).square().mean(dim=1)
        rms = power[power > 0.01 * power.max()].mean().sqrt()
        torch.testing.assert_close(rms, draws.gain[b].abs(), rtol=1e-3, atol=0)


def test_the_sign_of_a_sound_is_drawn(rooms: RoomBank) -> None:
    composer = _composer(rooms)
    draws = composer.draw(0, 4)
    one, other = composer.render(draws), composer.render(replace(draws, gain=-draws.gain))
    torch.testing.assert_close(one.stem_side, -other.stem_side, rtol=0, atol=1e-6)


def test_tone_curves_bend_the_spectrum_through_their_points(rooms: RoomBank) -> None:
    """Points an octave apart from 62.5 Hz to 8 kHz, straight lines in dB over octaves between them."""
    composer = _composer(rooms, equalised_share=1.0, gate_share=0.0, **ALONE)
    draws = composer.draw(0, 6)
    assert float(draws.tone_db.abs().max()) <= 9.0
    assert float(draws.tone_db.std()) > 3.0
    bent = composer.render(draws).mid
    flat = composer.render(replace(draws, tone_db=torch.zeros_like(draws.tone_db))).mid
    points_hz = 8000.0 / 2.0 ** np.arange(7, -1, -1)
    for b in range(6):
        one, other = (np.abs(np.fft.rfft(x[b].numpy() * np.hanning(composer.window))) for x in (bent, flat))
        freqs_hz = np.fft.rfftfreq(composer.window, 1 / RATE_HZ)
        heard = (other > 0.02 * other.max()) & (freqs_hz > 70)
        expected = np.interp(np.log2(freqs_hz[heard]), np.log2(points_hz), draws.tone_db[b].numpy())
        np.testing.assert_allclose(20 * np.log10(one[heard] / other[heard]), expected, atol=0.5)


def test_stretches_are_chosen_where_a_clip_sounds(rooms: RoomBank) -> None:
    """Clips of 2 s that sound in the last half second: a stretch of 0.25 s finds it in 29 % of its places."""
    samples = BANK.samples.clone()
    for start, length in zip(BANK.start.tolist(), BANK.length.tolist(), strict=True):
        samples[start : start + length * 3 // 4] = 0
    config = CompositionConfig(window_s=0.25, augment=False)
    material = Material(replace(BANK, samples=samples), rooms, PHRASES, load_categories())
    sparse = SceneComposer(material, "train", config)
    draws = sparse.draw(0, 100)
    power = torch.stack([samples[a : a + sparse.window].float().square().mean() for a in draws.start.tolist()])
    # Three tries find it in 1 - 0.71^3 = 64 % of the draws.
    assert float((power > 0).float().mean()) > 0.5


def test_a_clip_shorter_than_the_window_is_stretched_to_it(rooms: RoomBank) -> None:
    composer = _composer(rooms, **{**ALONE, "window_s": 3.0, "augment": False})
    draws = composer.draw(0, 3)
    assert draws.span.tolist() == [int(BANK.length[0])] * 3
    assert bool((composer.render(draws).mid[:, -4000:].abs().amax(dim=1) > 0.01).all())


# ------------------------------------------------------------------ what is in a batch


def test_mixture_is_all_stems_and_the_rest(rooms: RoomBank) -> None:
    batch = _composer(rooms, unnamed_share=0.5, rest_clause_share=0.5).compose(0, 12)
    torch.testing.assert_close(batch.mid, batch.stem_mid.sum(dim=1) + batch.rest_mid, rtol=0, atol=0)
    torch.testing.assert_close(batch.side, batch.stem_side.sum(dim=1), rtol=0, atol=0)
    assert batch.mid.shape == (12, round(WINDOW_S * RATE_HZ))
    assert bool(batch.rest_mid.any())
    assert bool(torch.isfinite(batch.mid).all())
    assert bool((batch.mid.square().mean(dim=1) > 1e-6).all())


def test_padding_is_empty(rooms: RoomBank) -> None:
    batch = _composer(rooms).compose(1, 12)
    padding = ~batch.named
    assert bool(padding.any())
    for value in (batch.stem_mid, batch.stem_side, batch.clause_features):
        assert not value[padding].any()
    assert not batch.azimuth_deg[padding].any()
    # Clauses come first, padding after them.
    assert torch.equal(batch.named.int().sort(dim=1, descending=True).values, batch.named.int())
    assert bool(batch.named.any(dim=1).all())


def test_named_clauses_carry_the_features_of_their_words(rooms: RoomBank) -> None:
    batch = _composer(rooms).compose(2, 12)
    for b in range(12):
        for k in torch.nonzero(batch.named[b])[:, 0].tolist():
            distance = (PHRASES.features - batch.clause_features[b, k]).norm(dim=1)
            assert float(distance.min()) < 1e-6
            assert PHRASES.phrases[int(distance.argmin())] in batch.prompts[b]


def test_unnamed_objects_go_to_the_rest(rooms: RoomBank) -> None:
    settings = {"absent_share": 0.0, "object_shares": (0.0, 1.0, 0.0, 0.0), "rest_clause_share": 0.0}
    everything = _composer(rooms, unnamed_share=0.0, **settings).compose(0, 8)
    assert not everything.rest_mid.any()
    assert torch.equal(everything.named.sum(dim=1), torch.full((8,), 2))
    some = _composer(rooms, unnamed_share=0.6, **settings).compose(0, 8)
    left_out = some.named.sum(dim=1) == 1
    assert bool(left_out.any())
    assert torch.equal(some.rest_mid.any(dim=1), left_out)
    for b in range(8):
        assert len(parse_prompt(some.prompts[b])) == int(some.named[b].sum())


def test_a_clause_for_the_rest_takes_what_is_unnamed(rooms: RoomBank) -> None:
    settings = {"absent_share": 0.0, "object_shares": (0.0, 0.0, 1.0, 0.0), "unnamed_share": 0.6}
    batch = _composer(rooms, rest_clause_share=1.0, **settings).compose(0, 12)
    assert not batch.rest_mid.any()
    found = 0
    for b, prompt in enumerate(batch.prompts):
        if any(phrase in prompt for phrase in REST_PHRASES):
            last = int(batch.named[b].sum()) - 1
            assert bool(batch.stem_mid[b, last].any())
            # Its parts come from several places, so no side signal is right for one direction.
            assert not bool(batch.side_known[b])
            assert not batch.stem_side[b, last].any()
            found += 1
    assert found > 3


def test_an_absent_object_is_named_and_silent(rooms: RoomBank) -> None:
    settings = {"unnamed_share": 0.0, "odd_name_share": 0.0, "object_shares": (1.0, 0.0, 0.0, 0.0)}
    batch = _composer(rooms, absent_share=1.0, **settings).compose(0, 12)
    twice = batch.named.sum(dim=1) == 2
    assert bool(twice.any())
    assert bool(batch.stem_mid[:, 0].any(dim=1).all())
    assert not batch.stem_mid[:, 1].any()
    assert not batch.stem_side[:, 1].any()
    # What is named and absent is not what sounds.
    for b in torch.nonzero(twice)[:, 0].tolist():
        words = [clause.object for clause in parse_prompt(batch.prompts[b])]
        kinds = {c.name for c in load_categories() for w in words if w in {x.lower() for x in c.training_words}}
        assert len(kinds & set(CATEGORIES)) != 1


# ------------------------------------------------------------------ captions


@pytest.mark.parametrize("held_out", [False, True])
def test_captions_say_what_the_batch_holds(rooms: RoomBank, held_out: bool) -> None:
    settings = {"odd_name_share": 0.7, "unnamed_share": 0.3, "absent_share": 0.5, "window_s": 0.2}
    composer = _composer(rooms, held_out_names=held_out, **settings)
    for step in range(15):
        batch = composer.compose(step, 8)
        for b, prompt in enumerate(batch.prompts):
            clauses = parse_prompt(prompt)
            count = int(batch.named[b].sum())
            assert len(clauses) == count, prompt
            assert len({c.object for c in clauses}) == count, prompt
            assert not any(c.azimuth.is_moving for c in clauses)
            # Captions go from left to right, and say each place as well as their style can.
            said = [c.azimuth.start_deg for c in clauses]
            held = sorted(batch.azimuth_deg[b, :count].tolist(), reverse=True)
            assert any(np.allclose(said, [said_azimuth_deg(a, style) for a in held], atol=1e-6) for style in STYLES), (
                f"{prompt}: {held}"
            )


def test_captions_can_be_had_without_sound(rooms: RoomBank) -> None:
    composer = _composer(rooms)
    captions = composer.captions(20)
    assert captions == composer.captions(20)
    assert len(captions) == 20
    assert len(set(captions)) > 10
    assert all(parse_prompt(caption) for caption in captions)


def test_every_phrase_is_understood_as_one_object_at_one_place() -> None:
    """Bare "slap and pop bass" would be two objects, and a bare "ride" a movement: such names come in quotes.

    Every phrase once, every style at every place in turn.
    """
    for number, phrase in enumerate(PHRASES.phrases):
        words = Captioner(STYLES[number % 3], np.random.default_rng(number))
        azimuth_deg = (-41.3, 0.2, 90.0)[number // 3 % 3]
        (clause,) = parse_prompt(words.caption([CaptionedObject(phrase.lower(), azimuth_deg, azimuth_deg)]))
        assert clause.object == phrase.lower()
        assert clause.azimuth.start_deg == clause.azimuth.end_deg == said_azimuth_deg(azimuth_deg, words.style)


def test_training_never_sees_held_out_words(rooms: RoomBank) -> None:
    categories = load_categories()
    held_out = {w for c in categories for w in c.held_out} - {w for c in categories for w in c.training_words}
    rows = PHRASES.rows(sorted(held_out))
    composer = _composer(rooms, odd_name_share=1.0, absent_share=0.5, window_s=0.2)
    for step in range(25):
        batch = composer.compose(step, 8)
        used = batch.clause_features[batch.named]
        distance = torch.cdist(used, PHRASES.features[rows])
        assert float(distance.min()) > 1e-3


# ------------------------------------------------------------------ left is left


@pytest.mark.parametrize("dry", [0.0, 1.0])
def test_text_and_sound_agree_on_left(dry: float) -> None:
    """From the words of the caption to the energy at the ears, with no shared constant for the sign."""
    rooms = dry_rooms()
    composer = _composer(
        rooms,
        object_shares=(1.0, 0.0, 0.0, 0.0),
        absent_share=0.0,
        odd_name_share=0.0,
        dry_share=dry,
        window_s=0.5,
    )
    seen = Counter[str]()
    for step in range(3):
        batch = composer.compose(step, 8)
        assert bool(batch.side_known.all())
        for b, prompt in enumerate(batch.prompts):
            mid, side = batch.stem_mid[b, 0], batch.stem_side[b, 0]
            ears = torch.stack([(mid + side) / 2, (mid - side) / 2])  # L + R and L - R solved for L and R
            energy = stft(ears, 1024, 256).abs().square()[:, 96:].sum(dim=(1, 2))  # above 1.5 kHz
            level_db = 10 * float(torch.log10(energy[0] / energy[1]))
            word = re.search(r"\b(left|right)\b", prompt)
            if word is None:
                assert abs(level_db) < 6, prompt  # a place 10 degrees off may be called the center
                continue
            assert (level_db > 0) == (word[1] == "left"), prompt
            seen[word[1]] += 1
    assert min(seen["left"], seen["right"]) >= 5


def test_dry_scenes_carry_the_ratio_of_the_head(rooms: RoomBank) -> None:
    """A user's dry file: side / mid is the measured (H_L - H_R) / (H_L + H_R) in every bin that sounds."""
    from tas_core.acoustics.hrtf import direction_ratio

    composer = _composer(rooms, object_shares=(1.0, 0, 0, 0), absent_share=0.0, dry_share=1.0, gate_share=0.0)
    batch = composer.compose(0, 6)
    # Without the frames at the ends, where the transform mirrors the signal.
    mid, side = (stft(x, 4096, 1024)[..., 3:-3] for x in (batch.stem_mid[:, 0], batch.stem_side[:, 0]))
    for b in range(6):
        freqs_hz = torch.arange(2049) * RATE_HZ / 4096
        at = (freqs_hz > 200) & (freqs_hz < 1200)  # where the ratio is smooth over the width of the window
        cross = (side[b] * mid[b].conj())[at].sum(dim=1)
        power = mid[b].abs().square()[at].sum(dim=1)
        expected = torch.from_numpy(direction_ratio(batch.azimuth_deg[b, :1].double().numpy(), freqs_hz[at].numpy())[0])
        error = ((cross / power - expected).abs() * power).sum() / (expected.abs() * power).sum()
        assert float(error) < 0.05


# ------------------------------------------------------------------ splits and configuration


def test_a_split_uses_its_own_sources(rooms: RoomBank) -> None:
    names = {split: set(_composer(rooms, split=split).source_names()) for split in ("train", "val", "test")}
    for split, found in names.items():
        assert found == {f"{split} font/{c}" for c in CATEGORIES}


def test_four_objects_fit_and_have_four_names(rooms: RoomBank) -> None:
    composer = _composer(rooms, object_shares=(0, 0, 0, 1.0), unnamed_share=0.0, absent_share=1.0)
    batch = composer.compose(0, 4)
    assert bool((batch.named.sum(dim=1) >= 4).all())
    assert bool(batch.stem_mid[:, :4].any(dim=2).all())
    # Different directions, too.
    for b in range(4):
        assert len(set(batch.azimuth_deg[b, :4].tolist())) == 4


def test_without_augmentation_the_sound_is_the_clip(rooms: RoomBank) -> None:
    """A dry single scene is a stretch of a clip of the bank, up to level and sign."""
    composer = _composer(rooms, object_shares=(1.0, 0, 0, 0), augment=False, dry_share=1.0, absent_share=0.0)
    batch = composer.compose(0, 2)
    clips = [BANK.clip(i) for i in range(len(BANK.start))]
    for b in range(2):
        piece = batch.stem_mid[b, 0]
        best = 0.0
        for clip in clips:
            size = 1 << 16
            correlation = torch.fft.irfft(torch.fft.rfft(clip, n=size) * torch.fft.rfft(piece, n=size).conj(), n=size)
            lag = int(correlation.abs()[: len(clip) - len(piece) + 1].argmax())
            cut = clip[lag : lag + len(piece)]
            best = max(best, abs(float(torch.cosine_similarity(cut, piece, dim=0))))
        assert best > 0.9999


# ------------------------------------------------------------------ when clauses hold


def test_untimed_prompts_hold_throughout(rooms: RoomBank) -> None:
    assert bool(_composer(rooms, timed_share=0.0, gate_share=1.0).compose(0, 8).active.all())


def test_timed_clauses_hold_while_their_object_sounds(rooms: RoomBank) -> None:
    """By a loop over blocks of a label frame, 0.1 s: less than 50 dB below the object's own loudest one."""
    batch = _composer(rooms, timed_share=1.0, gate_share=1.0, absent_share=0.0).compose(0, 8)
    block = RATE_HZ // 10
    pauses = 0
    for b, k in np.argwhere(batch.named.numpy()).tolist():
        ears = np.stack([batch.stem_mid[b, k].numpy(), batch.stem_side[b, k].numpy()])
        power = np.array(
            [np.square(ears[:, at : at + block]).sum() for at in range(0, ears.shape[1] - block + 1, block)]
        )
        expected = power > 1e-5 * power.max()
        # Rounding may decide for a block that stands at the limit.
        clear = np.abs(10 * np.log10(power / power.max() + 1e-12) + 50) > 0.01
        np.testing.assert_array_equal(batch.active[b, k].numpy()[clear], expected[clear])
        pauses += not expected.all()
    assert pauses >= 4


def test_absent_names_hold_while_another_object_sounds(rooms: RoomBank) -> None:
    batch = _composer(rooms, timed_share=1.0, gate_share=1.0, absent_share=1.0, unnamed_share=0.0).compose(0, 24)
    found = 0
    for b in range(24):
        times = batch.active[b]
        sounding = batch.stem_mid[b].any(dim=1)
        for k in torch.nonzero(batch.named[b] & ~sounding)[:, 0].tolist():
            assert any(torch.equal(times[k], times[other]) for other in torch.nonzero(sounding)[:, 0].tolist())
            found += 1
    assert found >= 4


def test_only_single_sounds_go_by_a_wrong_name(rooms: RoomBank) -> None:
    own = {c.name: set(c.words) for c in load_categories()}
    batch = _composer(rooms, odd_name_share=1.0, object_shares=(1.0, 0, 0, 0), absent_share=0.0).compose(0, 8)
    right = [bool(x) for x in batch.right_name[:, 0]]
    assert not all(right)  # names are drawn from all, so one or the other may be right
    for prompt, is_right in zip(batch.prompts, right, strict=True):
        (clause,) = parse_prompt(prompt)
        assert any(clause.object in own[c] for c in own)
        if is_right:
            assert any(clause.object in own[c] for c in CATEGORIES)
    assert bool(_composer(rooms, odd_name_share=1.0, object_shares=(0, 1.0, 0, 0)).compose(0, 8).right_name.all())
    assert bool(_composer(rooms, odd_name_share=0.0).compose(0, 8).right_name.all())


# ------------------------------------------------------------------ people


def _drawer_of(names: tuple[str, ...], rooms: RoomBank, **config: Any) -> SceneDrawer:
    bank = replace(tone_bank(length_s=0.5), categories=names)
    material = Material(bank, rooms, PHRASES, load_categories())
    return SceneDrawer(material, "train", CompositionConfig(window_s=0.2, **config), seed=3, captions=False)


def test_a_man_and_a_woman_talk_at_once_as_often_as_is_said(rooms: RoomBank) -> None:
    names = ("man talking", "woman talking", "cello", "dog", "violin")
    pairs = {}
    for share in (0.0, 0.5):
        drawer = _drawer_of(names, rooms, talkers_share=share, object_shares=(0.0, 1.0))
        found = [set(drawer._categories(2, np.random.default_rng(n))) for n in range(400)]
        assert all(len(pair) == 2 for pair in found)
        pairs[share] = sum(pair == {0, 1} for pair in found) / len(found)
    # By chance as well; the tolerance is four standard deviations of 400 draws.
    assert pairs[0.5] == pytest.approx(0.5 + 0.5 * pairs[0.0], abs=0.1)


def test_scenes_of_talkers_have_a_man_and_a_woman_wherever_there_are_two_objects(rooms: RoomBank) -> None:
    names = ("man talking", "woman talking", "cello", "dog", "violin")
    talkers = {name: value for name, value in asdict(COMPOSITIONS["talkers"]).items() if name != "window_s"}
    drawer = _drawer_of(names, rooms, **talkers)
    for count in (2, 3, 4):
        found = [set(drawer._categories(count, np.random.default_rng(n))) for n in range(50)]
        assert all(len(chosen) == count and {0, 1} <= chosen for chosen in found)
    alone = {number for n in range(50) for number in drawer._categories(1, np.random.default_rng(n))}
    assert alone == set(range(5))


def test_a_person_is_never_said_beside_a_man_or_a_woman(rooms: RoomBank) -> None:
    """Each of "a person" and "a man" may be said of the other: nobody could learn which is meant."""
    names = ("man talking", "person talking", "woman talking", "cello", "piano")
    drawer = _drawer_of(names, rooms, absent_share=1.0, object_shares=(0.4, 0.3, 0.3), odd_name_share=0.0)
    people = [{int(r) for r in drawer.rows[n]} for n in range(3)]
    seen = 0
    for step in range(60):
        draws = drawer.draw(step, 8)
        for words, named in zip(draws.word.tolist(), draws.named.tolist(), strict=True):
            said = {word for word, is_named in zip(words, named, strict=True) if is_named}
            man, person, woman = (bool(said & rows) for rows in people)
            assert not (person and (man or woman))
            seen += person
    assert seen > 20


def test_voices_that_go_by_man_or_woman_keep_their_pitch(rooms: RoomBank) -> None:
    names = ("man talking", "cello", "violin", "piano", "glockenspiel")
    drawer = _drawer_of(names, rooms, object_shares=(1.0,), speed_share=1.0, gate_share=0.0, absent_share=0.0)
    widest = [1.0, 1.0]
    for step in range(60):
        draws = drawer.draw(step, 8)
        for start, span in zip(draws.start.tolist(), draws.span.tolist(), strict=True):
            number = next(n for n, clips in drawer.clips.items() for c in clips if 0 <= start - drawer.start[c] < 8000)
            change = span / drawer.window
            widest[number > 0] = max(widest[number > 0], change, 1 / change)
    # 0.1 octaves against 0.35.
    assert widest[0] < 2**0.11 < 2**0.3 < widest[1]
