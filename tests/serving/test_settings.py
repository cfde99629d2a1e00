"""Where a server may listen, what it may grant, and how a socket is taken, found taken, and left."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tas_core.errors import InputError
from tas_core.serving.run import listening
from tas_core.serving.settings import Address, Folders, Limits
from tests.conftest import Finished
from tests.support.refusal import refused


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("127.0.0.1:8765", "127.0.0.1:8765"),
        ("localhost:0", "127.0.0.1:0"),
        ("LocalHost:1", "127.0.0.1:1"),
        ("127.3.2.1:65535", "127.3.2.1:65535"),
        ("[::1]:80", "[::1]:80"),
        ("::1:80", "[::1]:80"),
        ("unix:/run/tas.sock", "unix:/run/tas.sock"),
        ("unix:tas.sock", "unix:tas.sock"),
    ],
)
def test_addresses_of_this_machine(text: str, read: str) -> None:
    assert str(Address.read(text)) == read


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0:80", "[::]:80", "192.168.0.7:80", "8.8.8.8:80", "[2001:db8::1]:80", "[::ffff:10.0.0.1]:80"],
)
def test_addresses_that_other_machines_reach_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="other machines reach .* whoever connects is served; expected unix:PATH"):
        Address.read(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "8765", ":8765", "localhost", "localhost:", "localhost:x", "localhost:-1", "localhost:65536"),
        *("localhost:+1", "localhost: 1", "localhost:²", "example.org:80", "127.1:80", "unix:", "http://localhost:80"),
        "unix:" + "x" * 108,
    ],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"^address .*: .*expected "):
        Address.read(text)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"jobs": 0}, "jobs of a server is 0; expected 1 or more"),
        ({"waiting": -1}, "waiting of a server is -1; expected 0 or more"),
        ({"request_bytes": 0}, "request_bytes of a server is 0; expected 1024 or more"),
        ({"work_s": float("nan")}, "work_s of a server is nan; expected 0.01 or more"),
        ({"sound_s": float("inf")}, "sound_s of a server is inf; expected 0.01 or more"),
        ({"memory_bytes": 1}, "memory_bytes of a server is 1; expected 6"),
        ({"memory_bytes": 2**70}, "memory_bytes of a server is 1.18059e+21; expected 1.1259e+15 or less"),
        ({"sound_s": 1e300}, "sound_s of a server is 1e+300; expected 1e+09 or less"),
    ],
)
def test_limits_that_make_no_sense(change: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as error:
        Limits(**change)
    assert str(error.value).startswith(line)


def test_folders_are_there_and_do_not_grant_themselves(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: no such folder"):
        Folders.of([tmp_path / "none"], [])
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    folders = Folders.of([tmp_path / "link"], [])
    assert folders.may_read(tmp_path / "real" / "a.wav")
    assert folders.may_read(tmp_path / "link" / "b" / "a.wav")
    assert not folders.may_read(tmp_path / "real")
    assert not folders.may_read(tmp_path / "really.wav")
    assert not folders.may_write(tmp_path / "real" / "a.wav")


# ------------------------------------------------------------------ sockets


def test_the_file_of_a_socket_is_for_its_user_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(Address(path)) as (sock, where):
        found = os.lstat(path)
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert where.path == path
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            sock.accept()[0].close()
        with pytest.raises(InputError, match="another server listens there"), listening(Address(path)):
            pass
        assert path.exists()
    assert not path.exists()


def test_a_socket_that_a_killed_server_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    assert path.exists()
    with listening(Address(path)):
        pass
    assert not path.exists()


def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(InputError, match="notes: there is something else than a socket"), listening(Address(path)):
        pass
    assert path.read_text() == "mine"
    with pytest.raises(InputError, match="cannot listen there"), listening(Address(tmp_path / "none" / "s")):
        pass


def test_what_took_the_place_of_a_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(Address(path)):
        path.unlink()
        path.write_text("mine")
    assert path.read_text() == "mine"


def test_a_free_port_is_said_and_a_taken_one_is_refused() -> None:
    with listening(Address(None, "127.0.0.1", 0)) as (_, where):
        assert where.port > 0
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{where.port}: cannot listen there"), listening(where):
            pass


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--listen", "0.0.0.0:80"], "address '0.0.0.0:80': other machines reach 0.0.0.0"),
        (["--allow-read", "none"], "none: no such folder"),
        (["--model", "none"], "none"),
        (["--hrtf", "none.sofa"], "none.sofa"),
    ],
)
def test_requests_of_the_command_that_are_refused(
    tas: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert line in refused(tas, tmp_path, "serve", "--listen", "unix:s", *words)
