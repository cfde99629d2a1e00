"""Heads from SOFA files. Ear 0 and positive azimuth mean left in literal numbers here, not by the code's constants."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from tas_core.acoustics.direction_filter import DirectionFilter, PersonalDirectionFilter
from tas_core.acoustics.hrtf import HrirSet, direction_ratio, level_panning, load_kemar
from tas_core.acoustics.sofa import read_sofa
from tas_core.errors import InputError
from tests.support.sofa_files import FULL_CIRCLE, on_the_plane, spherical_head, spherical_hrir, uneven_head, write_sofa

FREQS_HZ = np.arange(513) * 16000 / 1024
# The lowest 200 Hz are filled in as a pure delay, whatever the file says.
AUDIBLE_HZ = np.arange(250.0, 6000.0, 50.0)
FRONT_DEG = np.arange(-90, 91, 5.0)


@pytest.fixture
def kemar_file(tmp_path: Path) -> Path:
    kemar = load_kemar()
    places = np.stack([kemar.azimuth_deg % 360, kemar.elevation_deg, np.full(len(kemar.azimuth_deg), 1.4)], axis=1)
    return write_sofa(tmp_path / "kemar.sofa", kemar.hrir, places)


def _sphere(path: Path, rate_hz: int = 44100, **changes: Any) -> HrirSet:
    hrir = spherical_hrir(FULL_CIRCLE, rate_hz)
    return read_sofa(write_sofa(path / "sphere.sofa", hrir, on_the_plane(FULL_CIRCLE), rate_hz, **changes))


def _formula(azimuth_deg: np.ndarray, freqs_hz: np.ndarray, shadow: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Direction ratio of the sphere, limited as the program limits it."""
    left, right = spherical_head(azimuth_deg, freqs_hz, shadow).transpose(1, 0, 2)
    ratio = (left - right) / (left + right)
    return ratio / (1 + (np.abs(ratio) / 3) ** 4) ** 0.25


# ------------------------------------------------------------------ what comes out


def test_the_shipped_head_written_as_sofa_gives_the_built_in_filter(kemar_file: Path) -> None:
    head = read_sofa(kemar_file)
    assert head.sample_rate_hz == 44100
    # The same numbers through the same arithmetic, but for the order of the directions.
    found = direction_ratio(FRONT_DEG, FREQS_HZ, head=head)
    np.testing.assert_allclose(found, direction_ratio(FRONT_DEG, FREQS_HZ), rtol=0, atol=1e-9)
    high_hz = np.arange(8000.0, 24000.0, 100.0)
    panned = level_panning(FRONT_DEG, high_hz, head=head)
    np.testing.assert_allclose(panned, level_panning(FRONT_DEG, high_hz), rtol=0, atol=1e-12)
    azimuth_deg = torch.linspace(-100, 100, 81)
    own, built_in = PersonalDirectionFilter(1024, 16000, head)(azimuth_deg), DirectionFilter(1024, 16000)(azimuth_deg)
    # Both tables are in single precision; positions in them are counted from other ends.
    torch.testing.assert_close(own, built_in, rtol=0, atol=2e-5)


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000, 96000])
def test_a_sphere_measured_at_any_rate_is_the_sphere_of_the_formula(tmp_path: Path, rate_hz: int) -> None:
    head = _sphere(tmp_path, rate_hz)
    assert head.sample_rate_hz == rate_hz
    found = direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=head)
    # Responses of 512 samples, and a spectrum read off between bins: about a hundredth near the poles.
    np.testing.assert_allclose(found, _formula(FRONT_DEG, AUDIBLE_HZ), rtol=0, atol=0.02)
    ears = spherical_head(FRONT_DEG, np.array([6000.0]))[..., 0]
    pan = (np.abs(ears[:, 0]) - np.abs(ears[:, 1])) / np.abs(ears).sum(axis=1)
    np.testing.assert_allclose(level_panning(FRONT_DEG, np.array([6000.0]), head=head)[:, 0], pan, atol=1e-3)
    assert pan[-1] > 0.5  # left is left
    assert pan[0] < -0.5


def test_between_measured_directions_lies_what_the_formula_says(tmp_path: Path) -> None:
    found = direction_ratio(FRONT_DEG[:-1] + 2.5, np.arange(250.0, 2000.0, 50.0), head=_sphere(tmp_path))
    expected = _formula(FRONT_DEG[:-1] + 2.5, np.arange(250.0, 2000.0, 50.0))
    # Log magnitude and phase are interpolated over 5 degrees, in which the sphere's delay is nearly straight.
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.05)


def test_left_and_right_of_an_uneven_head_are_as_measured(tmp_path: Path) -> None:
    shadow = (1.0, 0.7)
    head = uneven_head(tmp_path, shadow)
    found = PersonalDirectionFilter(1024, 16000, head)(torch.from_numpy(FRONT_DEG).float()).numpy()
    inside = (FREQS_HZ > 250) & (FREQS_HZ < 6000)
    expected = _formula(FRONT_DEG, FREQS_HZ[inside], shadow)
    np.testing.assert_allclose(found[:, inside], expected, rtol=0, atol=0.02)
    # It is not odd, and in front there is a side signal.
    assert np.abs(expected + expected[::-1]).max() > 0.1


def test_cartesian_places_are_the_same_as_spherical_ones(tmp_path: Path) -> None:
    angle = np.radians(FULL_CIRCLE)
    places = 1.5 * np.stack([np.cos(angle), np.sin(angle), np.zeros(len(angle))], axis=1)
    cartesian = {"SourcePosition": (places, {"Type": "cartesian", "Units": "metre"})}
    radians = {
        "SourcePosition": (
            on_the_plane(FULL_CIRCLE) * [np.pi / 180, np.pi / 180, 1],
            {"Type": "spherical", "Units": "radian, radian, metre"},
        )
    }
    expected = direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=_sphere(tmp_path))
    for variables in (cartesian, radians):
        found = direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=_sphere(tmp_path, variables=variables))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_a_turned_and_displaced_listener_hears_sources_from_its_own_point_of_view(tmp_path: Path) -> None:
    # The loudspeaker stands still at (2, 1, 0); the head at (1, 1, 0) turns the other way.
    turn = np.radians(-FULL_CIRCLE)
    view = np.stack([np.cos(turn), np.sin(turn), np.zeros(len(turn))], axis=1)
    cartesian = {"Type": "cartesian", "Units": "metre"}
    variables: dict[str, Any] = {
        "SourcePosition": (np.array([[2.0, 1, 0]]), cartesian),
        "ListenerPosition": (np.array([[1.0, 1, 0]]), cartesian),
        "ListenerView": (view, cartesian),
    }
    found = direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=_sphere(tmp_path, variables=variables))
    expected = direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=_sphere(tmp_path))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("lead", [7.0, 7.3])
def test_delays_beside_the_responses_count(tmp_path: Path, lead: float) -> None:
    # The right ear's response is stored without its last samples of delay, which Data.Delay gives back.
    hrir = spherical_hrir(FULL_CIRCLE, 48000, lead=60)
    hrir[:, 1] = spherical_hrir(FULL_CIRCLE, 48000, lead=60 - lead)[:, 1]
    for delays in (np.array([[0.0, lead]]), np.tile([[20.0, 20.0 + lead]], (len(FULL_CIRCLE), 1))):
        variables: dict[str, Any] = {"Data.Delay": (delays, {})}
        path = write_sofa(tmp_path / "d.sofa", hrir, on_the_plane(FULL_CIRCLE), 48000, variables=variables)
        found = direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=read_sofa(path))
        expected = direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=_sphere(tmp_path, 48000))
        # A common lead of 40 or of 60 samples is read off between bins of the same grid.
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)
    without: dict[str, Any] = {"Data.Delay": None}
    path = write_sofa(tmp_path / "w.sofa", hrir, on_the_plane(FULL_CIRCLE), 48000, variables=without)
    assert np.abs(direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=read_sofa(path)) - expected).max() > 0.1


def test_receivers_in_the_other_order_are_put_right(tmp_path: Path) -> None:
    positions = np.array([[[0.0], [-0.09], [0.0]], [[0.0], [0.09], [0.0]]])
    receivers: dict[str, Any] = {"ReceiverPosition": (positions, {"Type": "cartesian", "Units": "metre"})}
    hrir = spherical_hrir(FULL_CIRCLE, 44100, (1.0, 0.8))
    plain = read_sofa(write_sofa(tmp_path / "a.sofa", hrir, on_the_plane(FULL_CIRCLE)))
    path = write_sofa(tmp_path / "b.sofa", hrir[:, ::-1], on_the_plane(FULL_CIRCLE), variables=receivers)
    np.testing.assert_array_equal(read_sofa(path).hrir, plain.hrir)


CARTESIAN = {"Type": "cartesian", "Units": "metre"}
SPHERICAL = {"Type": "spherical", "Units": "degree, degree, metre"}
RIGHT_FIRST = (np.array([[[0.0], [-0.09], [0.0]], [[0.0], [0.09], [0.0]]]), CARTESIAN)


def test_positions_that_exchange_the_ears_are_not_believed_and_that_is_said(tmp_path: Path) -> None:
    """As in the files of CIPIC, LISTEN, FHK and MIT: the right receiver first, and the left ear's data."""
    hrir = spherical_hrir(FULL_CIRCLE, 44100, (1.0, 0.8))
    plain = read_sofa(write_sofa(tmp_path / "a.sofa", hrir, on_the_plane(FULL_CIRCLE)))
    old = write_sofa(tmp_path / "b.sofa", hrir, on_the_plane(FULL_CIRCLE), variables={"ReceiverPosition": RIGHT_FIRST})
    with pytest.warns(
        UserWarning, match="b.sofa: ReceiverPosition puts the right ear first, .* taken for the left one"
    ):
        found = read_sofa(old, everywhere=True)
    np.testing.assert_array_equal(found.hrir, plain.hrir)
    mirrored = on_the_plane(-FULL_CIRCLE % 360)
    for hrirs, places in ((hrir, mirrored), (hrir[:, ::-1], on_the_plane(FULL_CIRCLE))):
        with pytest.raises(InputError, match="are ears or azimuths exchanged"):
            read_sofa(write_sofa(tmp_path / "c.sofa", hrirs, places))
    # Azimuths exchanged, and receivers where they say they are: that cannot be told apart, so it is said, too.
    both = write_sofa(tmp_path / "d.sofa", hrir[:, ::-1], mirrored, variables={"ReceiverPosition": RIGHT_FIRST})
    with pytest.warns(UserWarning, match="taken for the left one"):
        read_sofa(both)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("variables", "exchanged"),
    [
        ({"ReceiverPosition": (np.array([[[90.0], [0.0], [0.09]], [[270.0], [0.0], [0.09]]]), SPHERICAL)}, False),
        ({"ReceiverPosition": (np.array([[[270.0], [0.0], [0.09]], [[90.0], [0.0], [0.09]]]), SPHERICAL)}, True),
        ({"ReceiverPosition": (np.array([[0.0, -0.09, 0], [0, 0.09, 0]]), CARTESIAN)}, True),
        ({"ReceiverPosition": (np.repeat(RIGHT_FIRST[0], len(FULL_CIRCLE), 2), CARTESIAN)}, True),
        ({"ReceiverPosition": (np.zeros((2, 3, 1)), CARTESIAN)}, False),
        ({"ReceiverPosition": None}, False),
        ({"EmitterPosition": (np.zeros((1, 3, 1)), SPHERICAL)}, False),
        ({"ListenerView": (np.array([[0.0, 0, 1]]), SPHERICAL), "ListenerUp": (np.array([[0.0, 90, 1]]), {})}, False),
        ({"ListenerView": (np.array([[2.0, 0, 0]]), CARTESIAN), "ListenerUp": None}, False),
    ],
)
def test_places_of_ears_and_listeners_in_any_coordinates(
    tmp_path: Path, variables: dict[str, Any], exchanged: bool
) -> None:
    hrir = spherical_hrir(FULL_CIRCLE, 44100, (1.0, 0.8))
    plain = read_sofa(write_sofa(tmp_path / "a.sofa", hrir, on_the_plane(FULL_CIRCLE)))
    data = hrir[:, ::-1] if exchanged else hrir
    found = read_sofa(write_sofa(tmp_path / "b.sofa", data, on_the_plane(FULL_CIRCLE), variables=variables))
    np.testing.assert_allclose(found.hrir, plain.hrir, atol=1e-12)
    np.testing.assert_allclose(found.azimuth_deg, plain.azimuth_deg, atol=1e-9)


def test_of_several_distances_the_farthest_counts_and_other_elevations_do_not(tmp_path: Path) -> None:
    hrir = spherical_hrir(FULL_CIRCLE, 44100)
    rng = np.random.default_rng(0)
    near, above = on_the_plane(FULL_CIRCLE) - [0, 0, 1.2], on_the_plane(FULL_CIRCLE) + [0, 10, 0]
    places = np.concatenate([near, on_the_plane(FULL_CIRCLE), above])
    order = rng.permutation(len(places))
    noise = rng.standard_normal(hrir.shape)
    many = np.concatenate([noise, hrir, noise])
    found = read_sofa(write_sofa(tmp_path / "many.sofa", many[order], places[order]))
    plain = read_sofa(write_sofa(tmp_path / "one.sofa", hrir, on_the_plane(FULL_CIRCLE)))
    assert len(found.azimuth_deg) == len(FULL_CIRCLE)
    np.testing.assert_array_equal(
        direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=found), direction_ratio(FRONT_DEG, AUDIBLE_HZ, head=plain)
    )


def test_beyond_the_last_direction_counts_as_the_last(tmp_path: Path) -> None:
    azimuth_deg = np.arange(-80.0, 81.0, 10.0)
    hrir = spherical_hrir(azimuth_deg, 44100)
    head = read_sofa(write_sofa(tmp_path / "front.sofa", hrir, on_the_plane(azimuth_deg)))
    found = direction_ratio(np.array([-90.0, -80.0, 80.0, 85.0, 90.0]), AUDIBLE_HZ, head=head)
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[3], found[2], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[4], found[2], rtol=0, atol=1e-12)


# ------------------------------------------------------------------ what is refused


def _plain(path: Path, **changes: Any) -> Path:
    azimuth_deg = changes.pop("azimuth_deg", np.arange(0.0, 360.0, 15.0))
    hrir = changes.pop("hrir", None)
    hrir = spherical_hrir(azimuth_deg, 44100) if hrir is None else hrir
    source = changes.pop("source", on_the_plane(azimuth_deg))
    return write_sofa(path / "bad.sofa", hrir, source, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributes": {"Conventions": None}}, "Conventions is missing, expected SOFA"),
        ({"attributes": {"SOFAConventions": "SimpleFreeFieldHRSOS"}}, "SOFAConventions is SimpleFreeFieldHRSOS"),
        ({"attributes": {"SOFAConventions": b"GeneralFIR"}}, "GeneralFIR, expected SimpleFreeFieldHRIR"),
        ({"attributes": {"DataType": "TF"}}, "DataType is TF, expected FIR"),
        ({"hrir": np.ones((24, 1, 64))}, "1 receiver, expected two"),
        ({"hrir": np.ones((24, 4, 64))}, "4 receivers, expected two"),
        ({"hrir": np.ones((24, 2))}, "Data.IR has shape"),
        ({"hrir": np.full((24, 2, 64), np.nan)}, "no finite numbers"),
        ({"hrir": np.zeros((24, 2, 64))}, "silent in a direction"),
        ({"hrir": spherical_hrir(np.arange(0.0, 360.0, 15.0), 44100)[:, ::-1]}, "ears or azimuths exchanged"),
        ({"rate_hz": 8000.0}, "Data.SamplingRate is 8000 Hz"),
        ({"variables": {"Data.SamplingRate": (np.array([44100.0, 48000.0]), {})}}, "is 44100, 48000 Hz, expected one"),
        ({"variables": {"Data.SamplingRate": (np.array([44.1]), {"Units": "kilohertz"})}}, "in kilohertz"),
        ({"variables": {"Data.IR": None}}, "no numbers named Data.IR"),
        ({"variables": {"SourcePosition": None}}, "no numbers named SourcePosition"),
        ({"variables": {"Data.Delay": (np.zeros((3, 2)), {})}}, "Data.Delay has shape"),
        ({"variables": {"Data.Delay": (np.array([[0.0, 1e6]]), {})}}, "delays differ by"),
        ({"variables": {"Data.Delay": (np.array([[0.0, np.inf]]), {})}}, "delays that are no finite numbers"),
        ({"source": on_the_plane(np.arange(3.0))}, "3 rows of SourcePosition for 24 measurements"),
        ({"source": on_the_plane(np.arange(0.0, 360.0, 15.0))[:, :2]}, "three coordinates"),
        ({"source": on_the_plane(np.arange(0.0, 360.0, 15.0)) + [0, 40, 0]}, "no directions in front"),
        ({"azimuth_deg": np.arange(100.0, 261.0, 10.0)}, "no directions in front"),
        ({"azimuth_deg": np.arange(-30.0, 31.0, 10.0)}, "from -30 to 30"),
        ({"azimuth_deg": np.array([-90.0, -45.0, 0.0, 45.0, 90.0])}, "45 degrees between directions"),
        (
            {"variables": {"SourcePosition": (np.ones((24, 3)), {"Type": "spherical harmonics"})}},
            "of type spherical harmonics",
        ),
        (
            {"variables": {"SourcePosition": (np.ones((24, 3)), {"Type": "cartesian", "Units": "foot"})}},
            "in foot, expected metre",
        ),
        ({"variables": {"ListenerUp": (np.array([[1.0, 0, 0]]), {"Type": "cartesian"})}}, "no direction to the left"),
        ({"variables": {"EmitterPosition": (np.array([[[0.2], [0], [0]]]), CARTESIAN)}}, "is 0.2 m beside the source"),
        ({"variables": {"EmitterPosition": (np.array([[[9.0], [0], [2.0]]]), SPHERICAL)}}, "is 2 m beside the source"),
        ({"variables": {"EmitterPosition": (np.zeros((3, 3, 1)), CARTESIAN)}}, "3 emitters, expected one"),
        (
            {
                "variables": {
                    "SourcePosition": (np.ones((24, 3)), {"Type": "spherical", "Units": "degree, radian, metre"})
                }
            },
            "in degree and radian, expected degree",
        ),
        (
            {
                "variables": {
                    "SourcePosition": (np.ones((24, 3)), {"Type": "spherical", "Units": "degree, degree, foot"})
                }
            },
            "in foot, expected metre",
        ),
    ],
)
def test_files_that_are_of_no_use_are_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_sofa(_plain(tmp_path, **changes))
    assert message in str(caught.value)
    assert "bad.sofa" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_sofa_file_is_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.sofa"
    text.write_text("azimuth, left, right\n0, 1, 1\n")
    cut = tmp_path / "cut.sofa"
    cut.write_bytes(_plain(tmp_path).read_bytes()[:3000])
    group = tmp_path / "group.sofa"
    with h5py.File(_plain(tmp_path), "r") as source, h5py.File(group, "w") as file:
        for name, value in source.attrs.items():
            file.attrs[name] = value
        file.create_group("Data.IR")
    for path, message in (
        (text, "not a readable SOFA file"),
        (cut, "not a readable SOFA file"),
        (group, "no numbers named Data.IR"),
        (tmp_path / "none.sofa", "no such file"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(InputError) as caught:
            read_sofa(path)
        assert message in str(caught.value)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


def test_everywhere_is_the_plane_and_what_is_above_and_below(tmp_path: Path) -> None:
    """All of them in the directions in which they were measured; the plane alone stays what it was."""
    flat = on_the_plane(FULL_CIRCLE)
    above = flat[::6] + np.array([0.0, 40.0, 0.0])
    hrir = np.concatenate([spherical_hrir(FULL_CIRCLE, 48000), 0.5 * spherical_hrir(FULL_CIRCLE[::6], 48000)])
    path = write_sofa(tmp_path / "all.sofa", hrir, np.concatenate([flat, above]), 48000)
    plane, whole = read_sofa(path), read_sofa(path, everywhere=True)
    assert not plane.elevation_deg.any()
    np.testing.assert_array_equal(whole.hrir[: len(plane.hrir)], plane.hrir)
    np.testing.assert_array_equal(whole.azimuth_deg[: len(plane.azimuth_deg)], plane.azimuth_deg)
    upper = slice(len(plane.hrir), None)
    np.testing.assert_allclose(whole.elevation_deg[upper], 40.0)
    np.testing.assert_allclose(np.mod(whole.azimuth_deg[upper], 360), FULL_CIRCLE[::6], atol=1e-9)
    np.testing.assert_allclose(whole.hrir[upper], hrir[len(flat) :], atol=1e-12)


def test_of_several_distances_the_farthest_counts_everywhere(tmp_path: Path) -> None:
    """As on the plane; the order of the directions stays that of the file."""
    flat = on_the_plane(FULL_CIRCLE)
    above = np.array([[0.0, 45.0, 0.5], [90.0, 45.0, 2.0], [0.0, 45.0, 2.0], [450.0, 45.0, 1.0], [0.0, 90.0, 1.0]])
    hrir = spherical_hrir(np.concatenate([FULL_CIRCLE, np.zeros(5)]), 44100)
    gains = np.arange(1.0, 6.0)
    hrir[-5:] *= gains[:, None, None]
    head = read_sofa(write_sofa(tmp_path / "two.sofa", hrir, np.concatenate([flat, above])), everywhere=True)
    assert len(head.hrir) == len(FULL_CIRCLE) + 3
    found = np.abs(head.hrir[-3:]).max(axis=(1, 2)) / np.abs(head.hrir[-3]).max()
    np.testing.assert_allclose(found, [1, 3 / 2, 5 / 2])
    np.testing.assert_allclose(head.azimuth_deg[-3:-1], [90, 0])


def _linked(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["Data.IR"]
        file["Data.IR"] = h5py.ExternalLink(other.name, "/Data.IR")


def _virtual(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())
    with h5py.File(path, "r+") as file:
        shape = file["Data.IR"].shape
        del file["Data.IR"]
        layout = h5py.VirtualLayout(shape, float)
        layout[:] = h5py.VirtualSource(other.name, "Data.IR", shape)
        file.create_virtual_dataset("Data.IR", layout)


def _raw(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())
    with h5py.File(path, "r+") as file:
        shape = file["Data.IR"].shape
        del file["Data.IR"]
        there = [(str(other), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("Data.IR", shape, float, external=there)


def _empty(path: Path, other: Path) -> None:
    """A terabyte that nobody wrote takes some hundred bytes."""
    path.write_bytes(other.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["Data.IR"]
        file.create_dataset("Data.IR", (10**9, 2, 64), float, chunks=(1, 2, 64))


def _packed(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["SourcePosition"]
        file.create_dataset("SourcePosition", data=np.zeros((200_000, 3)), compression="gzip", compression_opts=9)


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (_linked, "Data.IR is a link, or lies in another file; expected it in this one"),
        (_virtual, "Data.IR is a link, or lies in another file"),
        (_raw, "Data.IR is a link, or lies in another file"),
        (_empty, "Data.IR would take 1024000000000 bytes, and 0 are stored of it"),
        (_packed, "SourcePosition would take 4800000 bytes, and "),
    ],
)
def test_a_file_takes_nothing_from_others_and_no_more_than_it_holds(
    tmp_path: Path, forge: Callable[[Path, Path], None], message: str
) -> None:
    hrir = spherical_hrir(FULL_CIRCLE, 44100)
    other = write_sofa(tmp_path / "other.sofa", hrir, on_the_plane(FULL_CIRCLE))
    forge(tmp_path / "forged.sofa", other)
    with pytest.raises(InputError, match=re.escape(message)):
        read_sofa(tmp_path / "forged.sofa")


def test_places_beyond_all_bounds_are_refused(tmp_path: Path) -> None:
    places = on_the_plane(FULL_CIRCLE)
    places[3, 2] = 1e200
    path = write_sofa(tmp_path / "far.sofa", spherical_hrir(FULL_CIRCLE, 44100), places)
    with pytest.raises(InputError, match="SourcePosition holds coordinates beyond 1e"):
        read_sofa(path)
