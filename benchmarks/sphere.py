"""How true, smooth, even and fast the renderer of the whole sphere is: writes JSON and prints it.

    python benchmarks/sphere.py --out benchmarks/results/sphere.json [--sofa HEAD.sofa] [--listener FOLDER]

`--sofa` measures spectra of another head, too. `--listener` writes, for KEMAR and that head, what was measured and
what is rendered at and between measured directions, which `benchmarks/sphere_listener.py` lets a model of a listener
point at (in an environment of its own).
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.signal import csd, oaconvolve, welch

from tas_core.acoustics.hrtf import HrirSet, direction_vectors, load_kemar
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sofa import read_sofa
from tas_core.acoustics.sphere.head import SphereHead
from tas_core.acoustics.sphere.places import PlaceCurve
from tas_core.acoustics.sphere.reflections import Reflections
from tas_core.acoustics.sphere.renderer import SphereRenderer
from tas_core.acoustics.sphere.triangles import Triangles
from tas_core.audio.loudness import LoudnessMeter

RATE_HZ = 48_000
BANDS_HZ = 250 * 2 ** (np.arange(19) / 3)
ROOMS = {"small room": ((4, 3.2, 2.5), 0.35), "hall": ((40, 24, 16), 1.9), "church": ((38, 18, 16), 3.5)}


def third_octaves_db(response: np.ndarray, rate_hz: float) -> np.ndarray:
    """Levels (..., band) of impulse responses (..., tap), 250 Hz to 16 kHz."""
    size = 8192
    freqs_hz = np.fft.rfftfreq(size, 1 / rate_hz)
    power = np.abs(np.fft.rfft(response, size)) ** 2
    inside = [(freqs_hz >= f / 2 ** (1 / 6)) & (freqs_hz < f * 2 ** (1 / 6)) for f in BANDS_HZ]
    return np.stack([10 * np.log10(power[..., band].mean(axis=-1) + 1e-20) for band in inside], axis=-1)


def lead_s(ears: np.ndarray, rate_hz: float) -> np.ndarray:
    """By how much the left ear leads (...), of responses (..., ear, tap), by their likeness from 300 to 3000 Hz."""
    size, fine = 2048, 32
    freqs_hz = np.fft.rfftfreq(size, 1 / rate_hz)
    spectrum = np.fft.rfft(ears, size) * ((freqs_hz > 300) & (freqs_hz < 3000))
    likeness = np.fft.irfft(spectrum[..., 1, :] * spectrum[..., 0, :].conj(), fine * size)
    top = likeness.argmax(axis=-1)
    return np.where(top > fine * size // 2, top - fine * size, top) / (fine * rate_hz)


def spread_of(values: np.ndarray) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 3),
        "percentile_95": round(float(np.percentile(values, 95)), 3),
        "worst": round(float(values.max()), 3),
    }


# ------------------------------------------------------------------ spectra


def spectra(head: HrirSet) -> dict[str, Any]:
    """Against plain convolution with the measurement: at measured directions, and at each one left out of the head."""
    own = SphereHead(head, RATE_HZ, equalised=False)
    truth_db = third_octaves_db(head.hrir, head.sample_rate_hz)
    truth_s = lead_s(head.hrir, head.sample_rate_hz)
    at = own.response(head.azimuth_deg, head.elevation_deg)
    between, rows = left_out(own, head)
    found: dict[str, Any] = {"directions": len(head.hrir), "bands": "third octaves, 250 Hz to 16 kHz"}
    for name, response, which in (("measured", at, np.arange(len(head.hrir))), ("left_out", between, rows)):
        error_db = third_octaves_db(response, RATE_HZ) - truth_db[which]
        each_db = np.sqrt(np.square(error_db).mean(axis=(1, 2)))
        low = np.sqrt(np.square(error_db[..., BANDS_HZ < 5000]).mean(axis=(1, 2)))
        found[name] = {
            "directions": len(which),
            "error_db": spread_of(each_db),
            "error_below_5_khz_db": spread_of(low),
            "itd_error_us": spread_of(1e6 * np.abs(lead_s(response, RATE_HZ) - truth_s[which])),
            "median_error_db_by_elevation": by_elevation(each_db, head.elevation_deg[which]),
        }
    return found


def by_elevation(values: np.ndarray, elevation_deg: np.ndarray) -> dict[str, float]:
    step = np.round(elevation_deg / 20) * 20
    return {f"{e:g}": round(float(np.median(values[step == e])), 3) for e in np.unique(step)}


def left_out(own: SphereHead, head: HrirSet) -> tuple[np.ndarray, np.ndarray]:
    """Responses at directions taken out of the head one at a time, with their mirrored ones, and their rows."""
    vectors = own.vectors
    count = len(head.hrir)
    rows = [row for row in range(count) if vectors[row, 1] >= -1e-9 and abs(vectors[row, 2]) < 0.999]
    found = []
    for row in rows:
        mirrored = np.linalg.norm(vectors - vectors[row] * np.array([1.0, -1.0, 1.0]), axis=1) < 1e-3
        keep = np.flatnonzero(~(mirrored & own.symmetric) & (np.arange(len(vectors)) != row))
        corners, weights = Triangles(vectors[keep]).corners(vectors[row][None])
        corners = keep[corners[0]]
        log_response = np.einsum("c,cef->ef", weights[0].astype(np.float32), own.log_filters[corners])
        delay_s = weights[0] @ own.delay_s[corners]
        found.append(np.fft.irfft(own.spectra(log_response[None], delay_s[None])[0], own.size))
    return np.array(found), np.array(rows)


# ------------------------------------------------------------------ movement, loudness, places


def movement() -> list[dict[str, float]]:
    """A tone on a circle: what of it lies more than 150 Hz beside it."""
    renderer = SphereRenderer(None, RATE_HZ)
    found = []
    for seconds in (8, 4, 2, 1, 0.5):
        for tone_hz in (500, 1000, 4000, 10000, 15000):
            frames = round(seconds * RATE_HZ)
            tone = np.sin(2 * np.pi * tone_hz * np.arange(frames) / RATE_HZ)[None]
            ears = renderer.render(tone, [PlaceCurve(np.linspace(0, 360, round(100 * seconds) + 1))])[:, :frames]
            inner = ears[:, frames // 10 : -frames // 10]
            power = np.abs(np.fft.rfft(inner * np.blackman(inner.shape[1]))) ** 2
            far = np.abs(np.fft.rfftfreq(inner.shape[1], 1 / RATE_HZ) - tone_hz) > 150
            level_db = round(float(10 * np.log10(power[:, far].sum(axis=1) / power.sum(axis=1)).max()), 1)
            found.append({"seconds_a_turn": seconds, "tone_hz": tone_hz, "beside_the_tone_db": level_db})
    return found


def pink(frames: int) -> np.ndarray:
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(frames))
    shaped = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 40)))
    return 0.1 * shaped / np.sqrt(np.square(shaped).mean())


def loudness() -> dict[str, float]:
    """Loudness (ITU-R BS.1770) of pink noise at rest on circles: the loudest less the quietest, LU."""
    noise = pink(2 * RATE_HZ)[None]
    found = {}
    circles = [(None, elevation_deg, 0.0) for elevation_deg in (-30, 0, 30, 60)]
    circles += [(room, 0, spread) for room in (None, *ROOMS) for spread in (0.0, 0.5, 1.0)]
    for name, elevation_deg, spread in dict.fromkeys(circles):
        renderer = SphereRenderer(None, RATE_HZ, Room.around(*ROOMS[name]) if name else None)
        values = []
        for azimuth_deg in np.arange(0, 181, 15 if name else 7.5):
            meter = LoudnessMeter(RATE_HZ)
            meter.add(renderer.render(noise, [PlaceCurve(azimuth_deg, elevation_deg, spread=spread)]))
            values.append(meter.integrated_lufs())
        where = f"elevation {elevation_deg}" if not (name or spread) else f"{name or 'outdoors'}, spread {spread:g}"
        found[where] = round(max(values) - min(values), 2)
    return found


def heard_from(vectors: np.ndarray) -> np.ndarray:
    """Where the ears say that a white sound from directions (direction, xyz) is, by time differences and levels.

    An ideal observer, without noise of its own, who knows the plain measured responses of KEMAR: one of theirs.
    """
    kemar = load_kemar()
    renderer = SphereRenderer(None, 44_100)
    azimuth_deg = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0]))
    elevation_deg = np.degrees(np.arcsin(vectors[:, 2]))
    click = np.zeros((1, 256))
    click[0, 0] = 1.0
    heard = np.array(
        [renderer.render(click, [PlaceCurve(a, e)])[:, :1024] for a, e in zip(azimuth_deg, elevation_deg, strict=True)]
    )
    colour_db = third_octaves_db(kemar.hrir, 44_100).mean(axis=(0, 1))
    # What all directions share is taken out of both, as an equalised head has it out.
    common = SphereHead(kemar, 44_100).response(kemar.azimuth_deg, kemar.elevation_deg)

    def cues(response: np.ndarray, colour_db: np.ndarray) -> np.ndarray:
        level_db = third_octaves_db(response, 44_100) - colour_db
        level_db -= level_db.mean(axis=(1, 2), keepdims=True)  # how loud it is says nothing
        # 20 us count as much as 1 dB in a band.
        return np.concatenate([level_db.reshape(len(level_db), -1), lead_s(response, 44_100)[:, None] / 20e-6], axis=1)

    known = cues(kemar.hrir, colour_db)
    asked = cues(heard, third_octaves_db(common, 44_100).mean(axis=(0, 1)))
    best = np.array([np.square(known - one).sum(axis=1).argmin() for one in asked])
    return kemar.unit_vectors()[best]


def places() -> dict[str, Any]:
    """Asked against heard directions, all over the sphere but below what was measured."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((2000, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors[vectors[:, 2] > np.sin(np.radians(-42))][:1000]
    found = heard_from(vectors)
    error_deg = np.degrees(np.arccos(np.clip((found * vectors).sum(axis=1), -1, 1)))
    nearest = np.degrees(np.arccos(np.clip((vectors @ load_kemar().unit_vectors().T).max(axis=1), -1, 1)))
    confused = {
        name: round(float((found[:, axis] * vectors[:, axis] < 0)[np.abs(vectors[:, axis]) > 0.26].mean()), 4)
        for axis, name in enumerate(("front_back_confused", "left_right_confused", "up_down_confused"))
    }
    return {
        "directions": len(vectors),
        "error_deg": spread_of(error_deg),
        "grid_error_deg": spread_of(nearest),
        **confused,
    }


def draw(path: Path) -> None:
    """Asked and heard places on the horizon, seen from above, and on the median plane, seen from the left."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    turn = np.radians(np.arange(0, 360, 7.5) + 1.0)
    horizon = np.stack([np.cos(turn), np.sin(turn), np.zeros(len(turn))], axis=1)
    rise = turn[(np.degrees(turn) < 220) | (np.degrees(turn) > 320)]
    median = np.stack([np.cos(rise), np.zeros(len(rise)), np.sin(rise)], axis=1)
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
    # To the right of the picture lies the listener's right, or what is behind.
    for axis, asked, column, up, title in (
        (axes[0], horizon, 1, 0, "from above (front is up)"),
        (axes[1], median, 0, 2, "from the left (front is left)"),
    ):
        heard = heard_from(asked)
        axis.add_patch(pyplot.Circle((0, 0), 0.12, color="0.8"))
        for one, other in zip(asked, heard, strict=True):
            axis.plot([-one[column], -0.86 * other[column]], [one[up], 0.86 * other[up]], color="0.7", lw=0.8)
        axis.plot(-asked[:, column], asked[:, up], "o", ms=4, mfc="none", mec="tab:blue", label="asked")
        axis.plot(-0.86 * heard[:, column], 0.86 * heard[:, up], "o", ms=4, color="tab:orange", label="heard")
        axis.set_aspect("equal")
        axis.set_axis_off()
        axis.set_title(title, fontsize=10)
    axes[1].legend(loc="lower center", frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)


# ------------------------------------------------------------------ rooms


def rooms() -> dict[str, Any]:
    """Coherence of the tail against sin(x) / x, decay and level against what was asked and the textbook."""
    found = {}
    for name, (size_m, rt60_s) in ROOMS.items():
        room = Room.around(size_m, rt60_s)
        renderer = SphereRenderer(None, RATE_HZ, room)
        assert renderer.reflections is not None
        tail = renderer.reflections.tail()
        begin = round(renderer.reflections.mixing_s[1] * RATE_HZ)
        time_s = np.arange(tail.shape[1]) / RATE_HZ
        even = (tail * 10 ** (3 * time_s / rt60_s))[:, begin : round(0.8 * rt60_s * RATE_HZ)]
        freqs_hz, left = welch(even[0], RATE_HZ, nperseg=512)
        right, cross = welch(even[1], RATE_HZ, nperseg=512)[1], csd(even[0], even[1], RATE_HZ, nperseg=512)[1]
        coherence = (cross / np.sqrt(left * right)).real
        at = (freqs_hz > 100) & (freqs_hz < 8000)
        error = coherence - np.sinc(2 * freqs_hz * 0.17 / 343)
        click = np.zeros((1, 64))
        click[0, 0] = 1.0
        ratios_db = [direct_to_reverberant_db(renderer, click, metres) for metres in (1.4, 2.8, 5.6)]
        energy = np.square(renderer.render(click, [PlaceCurve(30, 0, 2)])).sum(axis=0)
        decay_db = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-12)
        part = (decay_db <= -8) & (decay_db >= -28)
        slope, _ = np.polyfit(np.flatnonzero(part) / RATE_HZ, decay_db[part], 1)
        critical_m = 0.057 * np.sqrt(np.prod(size_m) / rt60_s)
        found[name] = {
            "rt60_s": rt60_s,
            "rt60_found_s": round(float(-60 / slope), 3),
            "coherence_rms_error": round(float(np.sqrt(np.square(error[at]).mean())), 3),
            # Of noise without coherence, from segments that overlap by half: some 1.9 independent ones in two.
            "coherence_standard_error": round(float(1 / np.sqrt(2 * 1.9 * even.shape[1] / 512)), 3),
            "critical_distance_m": round(float(critical_m), 2),
            "direct_to_reverberant_db": {"1.4 m": ratios_db[0], "2.8 m": ratios_db[1], "5.6 m": ratios_db[2]},
            "textbook_at_1.4_m_db": round(float(20 * np.log10(critical_m / 1.4)), 1),
        }
    return found


def direct_to_reverberant_db(renderer: SphereRenderer, click: np.ndarray, distance_m: float) -> float:
    """Mean over four directions."""
    dry = SphereRenderer(None, RATE_HZ)
    direct = rest = 0.0
    for azimuth_deg in (0, 60, 120, 180):
        place = [PlaceCurve(azimuth_deg, 0, distance_m)]
        straight, whole = dry.render(click, place), renderer.render(click, place)
        direct += np.square(straight).sum()
        whole[:, : straight.shape[1]] -= straight
        rest += np.square(whole).sum()
    return round(float(10 * np.log10(direct / rest)), 1)


def image_orders() -> dict[str, float]:
    """Energy of reflections before the tail takes over, by the order of images, in a small room, dB re order 7."""
    head = SphereHead(load_kemar(), RATE_HZ)
    room = Room.around(*ROOMS["small room"])
    direction = direction_vectors(np.array(30.0), np.array(0.0))
    energy = {n: np.square(Reflections(room, head, n).early(direction, 1.5)).sum() for n in (1, 2, 3, 4, 5, 7)}
    return {f"order {n}": round(float(10 * np.log10(e / energy[7])), 2) for n, e in energy.items()}


# ------------------------------------------------------------------ speed


def curves(count: int, seconds: int) -> list[PlaceCurve]:
    """Objects that go round, up, down, near and far, a quarter of them wide."""
    time_s = np.arange(100 * seconds + 1) / 100
    return [
        PlaceCurve(
            60 * k + time_s * (20 + 10 * k) * (-1) ** k,
            40 * np.sin(time_s / 2 + k),
            2 + 1.2 * np.sin(time_s / 3 + k),
            0.5 if k % 4 == 3 else 0.0,
        )
        for k in range(count)
    ]


def speed(seconds: int, laps: int) -> dict[str, Any]:
    """CPU seconds per second of sound, the fastest lap of several, one thread; and against plain convolution."""
    rng = np.random.default_rng(0)
    room = Room.around(*ROOMS["small room"])
    found: dict[str, Any] = {"seconds": seconds, "laps": laps, "rate_hz": RATE_HZ, "threads": 1}
    kemar = load_kemar()
    hrir = kemar.hrir[:6].astype(np.float32)

    def fastest(work: Any) -> float:
        taken = []
        for _ in range(laps):
            began = time.process_time()
            work()
            taken.append(time.process_time() - began)
        return round(min(taken) / seconds, 4)

    began = time.process_time()
    renderers = {"outdoors": SphereRenderer(None, RATE_HZ), "small_room": SphereRenderer(None, RATE_HZ, room)}
    renderers["church"] = SphereRenderer(None, RATE_HZ, Room.around(*ROOMS["church"]))
    found["preparing_three_renderers_s"] = round(time.process_time() - began, 2)
    six = 0.1 * rng.standard_normal((6, seconds * RATE_HZ)).astype(np.float32)
    many = 0.1 * rng.standard_normal((20, seconds * RATE_HZ)).astype(np.float32)
    blocks = lambda stems: np.array_split(stems, seconds, axis=1)  # noqa: E731

    def through(renderer: SphereRenderer, stems: np.ndarray) -> Any:
        places = curves(len(stems), seconds)
        return lambda: [None for _ in renderer.blocks(blocks(stems), places)]

    def plain() -> None:
        for stem, ears in zip(six, hrir, strict=True):
            oaconvolve(stem[None], ears, axes=-1)

    found["plain_convolution_of_6_at_rest"] = fastest(plain)
    for name, renderer in renderers.items():
        found[f"6_moving_{name}"] = fastest(through(renderer, six))
    found["20_moving_small_room"] = fastest(through(renderers["small_room"], many))
    still = [PlaceCurve(60.0 * k, 10.0, 2.0) for k in range(6)]
    found["6_at_rest_small_room"] = fastest(lambda: list(renderers["small_room"].blocks(blocks(six), still)))
    found["ratio_6_moving_small_room_to_plain"] = round(
        found["6_moving_small_room"] / found["plain_convolution_of_6_at_rest"], 1
    )
    return found


# ------------------------------------------------------------------ for a model of a listener


def write_for_listener(head: HrirSet, name: str, folder: Path) -> None:
    """Measured responses, rendered ones there, and rendered ones at directions left out one at a time, at one rate."""
    rate_hz = 48_000
    own = SphereHead(head, rate_hz, equalised=False)
    size = np.lcm(rate_hz, head.sample_rate_hz) // head.sample_rate_hz
    from scipy.signal import resample_poly

    measured = resample_poly(head.hrir, size, size * head.sample_rate_hz // rate_hz, axis=-1)
    # The level of an impulse response at another rate; as long as the others, since the model takes means over time.
    measured *= head.sample_rate_hz / rate_hz
    first = own.lead // 2
    measured = np.pad(measured, ((0, 0), (0, 0), (0, own.size - first)))[..., : own.size - first]
    between, rows = left_out(own, head)
    rendered = own.response(head.azimuth_deg, head.elevation_deg)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, response, which in (
        ("measured", measured, np.arange(len(head.hrir))),
        ("rendered", rendered[..., first:], np.arange(len(head.hrir))),
        ("left-out", between[..., first:], rows),
    ):
        with h5py.File(folder / f"{name}-{kind}.h5", "w") as file:
            file["hrir"] = response.astype(np.float32)
            file["azimuth_deg"], file["elevation_deg"] = head.azimuth_deg[which], head.elevation_deg[which]
            file.attrs["rate_hz"] = rate_hz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sofa", type=Path, help="another head, measured all around")
    parser.add_argument("--listener", type=Path, help="folder for what a model of a listener points at")
    parser.add_argument("--figure", type=Path, help="draw asked and heard places, and measure nothing else")
    parser.add_argument("--seconds", type=int, default=20, help="of sound that speed is measured with")
    parser.add_argument("--laps", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.figure:
        draw(arguments.figure)
        return
    heads = {"kemar": load_kemar()}
    if arguments.sofa:
        heads["person"] = read_sofa(arguments.sofa, everywhere=True)
    if arguments.listener:
        for name, head in heads.items():
            write_for_listener(head, name, arguments.listener)
    found = {
        "speed_cpu_s_per_s": speed(arguments.seconds, arguments.laps),
        "spectra": {name: spectra(head) for name, head in heads.items()},
        "movement": movement(),
        "loudness_range_lu": loudness(),
        "places": places(),
        "rooms": rooms(),
        "image_orders_small_room_db": image_orders(),
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    print(json.dumps(found, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
