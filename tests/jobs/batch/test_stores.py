"""Batches in object stores: in a store in memory, and where moto and s3fs are installed, in one that speaks S3."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tas_core.errors import InputError, TasError
from tas_core.jobs.batch.in_stores import Stores, StoresOnDemand
from tas_core.jobs.batch.inputs import read_manifest
from tas_core.jobs.batch.rows import Attempts, RowWorker
from tas_core.jobs.batch.stores import PACKAGES, download, names_in, upload, url_parts
from tas_core.jobs.batch.worker import FileOutcome, FileTask
from tas_core.jobs.request import FileRequest
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tas_core.system.files import is_url
from tests.conftest import Finished
from tests.jobs.batch.conftest import PROMPT, write_sounds

Run = Callable[..., Finished]

# ------------------------------------------------------------------ addresses


@pytest.mark.parametrize("name", ["s3://b/k.wav", "http://x/y", "S3://b/k", "memory://", "a+b.c-d://\n"])
def test_addresses_are_told_from_paths(name: str) -> None:
    assert is_url(name)
    assert not is_url(name.replace("://", ":/"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest", "begins with one of s3://"),
        ("file:///etc/passwd", "begins with one of s3://"),
        ("simplecache::s3://b/k", "begins with one of s3://"),
        ("S3://b/k", "begins with one of s3://"),
        ("s3://b", "BUCKET/KEY"),
        ("s3://b/", "BUCKET/KEY"),
        ("s3://b/../c/k", "BUCKET/KEY"),
        ("s3://b//k", "BUCKET/KEY"),
        ("s3:///k", "BUCKET/KEY"),
        ("s3://b/./k", "BUCKET/KEY"),
        ("s3://b/" + "k" * 201, "at most 200 bytes"),
        ("s3://b/k\n", "without control characters"),
        ("s3://b/k?versionId=1", "without control characters and [?]"),
        ("s3://b/*.wav", "without control characters and [?]"),
    ],
)
def test_addresses_that_are_refused(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        url_parts(url)


def test_local_names_say_where_things_are(tmp_path: Path) -> None:
    named = Stores(tmp_path)
    path = named.local("s3://bucket/a b/ö.wav")
    assert (path.name, named.url(path), named.has(path)) == ("ö.wav", "s3://bucket/a b/ö.wav", True)
    assert not named.has(tmp_path.parent / "x.wav")
    assert named.told(f"{path}: what; {tmp_path}/gs/b/k, {tmp_path}/else") == (
        f"s3://bucket/a b/ö.wav: what; gs://b/k, {tmp_path}/else"
    )
    assert named.told({"a": [str(path), 1, None]}) == {"a": ["s3://bucket/a b/ö.wav", 1, None]}


@pytest.mark.parametrize("entry", ['"audio": "s3://b/"', '"audio": "in.wav", "out": "ftp://h/x.wav"'])
def test_a_manifest_names_the_line_of_an_address_that_is_none(tmp_path: Path, entry: str) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio": "s3://b/x.wav"}\n{' + entry + "}\n")
    with pytest.raises(InputError, match=r"m\.jsonl:2: "):
        read_manifest(manifest, Stores(tmp_path / "stores"))
    with pytest.raises(InputError, match=r"m\.jsonl:1: s3://b/x\.wav: an address, expected a path"):
        read_manifest(manifest)


def test_a_manifest_of_paths_alone_takes_no_temporary_folder(tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio": "x.wav", "out": "y.wav"}\n')
    with contextlib.ExitStack() as stack:
        named = StoresOnDemand(stack)
        read_manifest(manifest, named)
        assert named.made is None
        manifest.write_text('{"audio": "s3://b/x.wav", "out": "y.wav"}\n')
        [found] = read_manifest(manifest, named)
        assert named.made is not None
        assert (named.made.url(found.source), found.out_folder) == ("s3://b/x.wav", tmp_path)
        assert named.folder.is_dir()
    assert not named.folder.exists()


# ------------------------------------------------------------------ a store in memory


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty store of this process: ``memory://bucket/key``."""
    monkeypatch.setitem(PACKAGES, "memory", "fsspec")
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def corpus(
    store: Any, tmp_path: Path, tiny_model: Path, tas: Run, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> Callable[..., Finished]:
    """Makes what lines say, of four sounds in the store and beside the manifest; leaves no temporary files."""
    del one_thread
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for path in write_sounds(tmp_path / "in", 4):
        store.put_file(str(path), f"memory://corpus/in/{path.name}")

    def run(*lines: dict[str, Any], options: tuple[object, ...] = ()) -> Finished:
        manifest = tmp_path / "m.jsonl"
        manifest.write_text("".join(json.dumps({"prompt": PROMPT} | line) + "\n" for line in lines))
        done = tas("spatialize", "--manifest", manifest, "--model", tiny_model, "--json", *options)
        assert list(temporary.iterdir()) == []
        return done

    return run


def line(number: int, **more: str) -> dict[str, str]:
    return {"audio": f"memory://corpus/in/v{number:02}.wav", "out": f"memory://corpus/out/v{number:02}.wav"} | more


def there(store: Any) -> dict[str, bytes]:
    return {name: store.cat_file(name) for name in store.find("/corpus/out")}


def test_a_batch_in_a_store_is_that_in_folders(corpus: Callable[..., Finished], store: Any, tmp_path: Path) -> None:
    mixed = {"audio": "memory://corpus/in/v02.wav", "out": "here/v02.wav"}
    up = {"audio": "in/v03.wav", "out": "memory://corpus/out/deep/v03.wav"}
    done = corpus(line(0), line(1), mixed, up, options=("--sidecar",))
    assert (done.code, done.err) == (0, "4 of 4 done\n")
    said = [json.loads(text) for text in done.out.splitlines()]
    assert [(one["source"], one["output"]) for one in said[:3]] == [
        ("memory://corpus/in/v00.wav", "memory://corpus/out/v00.wav"),
        ("memory://corpus/in/v01.wav", "memory://corpus/out/v01.wav"),
        ("memory://corpus/in/v02.wav", str(tmp_path / "here/v02.wav")),
    ]
    assert (said[3]["source"], said[3]["output"]) == (str(tmp_path / "in/v03.wav"), up["out"])
    assert said[0]["outputs"][0]["files"] == ["memory://corpus/out/v00.wav"]
    sidecars = [json.loads(store.cat_file("/corpus/out/v00.wav.tas.json"))]
    sidecars.append(json.loads((tmp_path / "here/v02.wav.tas.json").read_text()))
    assert [one["source"] for one in sidecars] == ["memory://corpus/in/v00.wav", "memory://corpus/in/v02.wav"]
    assert "temporary" not in json.dumps([said, sidecars])
    assert ".parts" not in json.dumps([said, sidecars])

    done = corpus(*({"audio": f"in/v{n:02}.wav", "out": f"local/v{n:02}.wav"} for n in range(4)))
    assert done.code == 0
    for number, name in enumerate(("out/v00.wav", "out/v01.wav", "", "out/deep/v03.wav")):
        made = store.cat_file(f"/corpus/{name}") if name else (tmp_path / "here/v02.wav").read_bytes()
        assert made == (tmp_path / "local" / f"v{number:02}.wav").read_bytes()


def test_what_is_there_is_refused_left_out_made_again_or_replaced(corpus: Callable[..., Finished], store: Any) -> None:
    store.pipe_file("/corpus/out/v01.wav", b"theirs")
    done = corpus(line(0), line(1))
    assert done.code == 2
    assert done.error_line.startswith("memory://corpus/out/v01.wav: the file exists, expected another folder")
    assert there(store) == {"/corpus/out/v01.wav": b"theirs"}

    done = corpus(line(0), line(1), options=("--skip-existing",))
    assert (done.code, done.err) == (0, "1 of 2 done, 1 skipped\n")
    skipped = {"input": "memory://corpus/in/v01.wav", "output": "memory://corpus/out/v01.wav", "skipped": True}
    assert json.loads(done.out.splitlines()[0]) == skipped
    assert there(store)["/corpus/out/v01.wav"] == b"theirs"

    done = corpus(line(0), line(1), options=("--skip-existing", "--sidecar"))  # half of each is missing
    assert (done.code, done.err) == (0, "2 of 2 done\n")
    whole = there(store)
    assert len(whole) == 4
    assert whole["/corpus/out/v01.wav"] != b"theirs"

    store.pipe_file("/corpus/out/v01.wav", b"theirs")
    done = corpus(line(0), line(1), options=("--force",))
    assert (done.code, done.err) == (0, "2 of 2 done\n")
    assert there(store)["/corpus/out/v01.wav"] == whole["/corpus/out/v01.wav"]


def test_a_file_that_was_made_of_one_in_a_store_is_left_out(corpus: Callable[..., Finished], tmp_path: Path) -> None:
    here = {"audio": "memory://corpus/in/v00.wav", "out": "here/v00.wav"}
    gone = {"audio": "memory://corpus/in/none.wav", "out": "here/none.wav"}
    (tmp_path / "here").mkdir()
    for name in ("v00.wav", "none.wav"):
        (tmp_path / "here" / name).write_bytes(b"theirs")
    done = corpus(here, gone, options=("--skip-existing",))
    assert (done.code, done.err) == (
        1,
        "tas: error: memory://corpus/in/none.wav: no such file\n0 of 2 done, 1 skipped, 1 failed\n",
    )
    assert [path.read_bytes() for path in (tmp_path / "here").iterdir()] == [b"theirs"] * 2


def test_what_is_wrong_with_one_leaves_the_others(corpus: Callable[..., Finished], store: Any) -> None:
    store.pipe_file("/corpus/in/v01.wav", b"no sound at all")
    lines = [line(0), line(1), {**line(2), "audio": "memory://corpus/in/none.wav"}]
    done = corpus(*lines)
    assert done.code == 1
    bad, missing, summary = done.err.splitlines()
    assert bad.startswith("tas: error: memory://corpus/in/v01.wav: not an audio file that can be read: ")
    assert missing == "tas: error: memory://corpus/in/none.wav: no such file"
    assert summary == "1 of 3 done, 2 failed"
    said = [json.loads(text) for text in done.out.splitlines()]
    assert [one.get("input") for one in said] == [None, "memory://corpus/in/v01.wav", "memory://corpus/in/none.wav"]
    assert list(there(store)) == ["/corpus/out/v00.wav"]


def test_timelines_and_sounds_of_objects_come_along(corpus: Callable[..., Finished], store: Any) -> None:
    store.pipe_file("/corpus/in/v00.yaml", f"prompts:\n  - {{start: 0, text: '{PROMPT}'}}\n".encode())
    text = "sources:\n  dog: dog.wav\nprompts:\n  - {start: 0, text: 'a dog on the left, a cat on the right'}\n"
    store.pipe_file("/corpus/scenes/two.yaml", text.encode())
    store.copy("/corpus/in/v01.wav", "/corpus/scenes/dog.wav")
    out = "memory://corpus/out/two.wav"
    objects = {"cat": "memory://corpus/in/v02.wav"}
    beside: dict[str, Any] = line(0) | {"prompt": None}
    given: dict[str, Any] = {
        "timeline": "memory://corpus/scenes/two.yaml",
        "objects": objects,
        "prompt": None,
        "out": out,
    }
    done = corpus(beside, given)
    assert (done.code, done.err) == (0, "2 of 2 done\n")
    said = [json.loads(text) for text in done.out.splitlines()]
    assert [one["file"] for one in said[1]["sources"]] == [
        "memory://corpus/scenes/dog.wav",
        "memory://corpus/in/v02.wav",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--stems", "stems"), "memory://corpus/out/v00.wav: stems cannot go to a store"),
        (("--report", "pages"), "memory://corpus/out/v00.wav: a report page cannot go to a store"),
        (("--format", "binaural,objects"), "memory://corpus/out/v00.wav: objects cannot go to a store"),
        (("--clip", "rescale-all"), "one gain for all files takes reading each twice"),
    ],
)
def test_what_does_not_go_to_a_store_is_said_before_any_work(
    corpus: Callable[..., Finished],
    store: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: Any,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = corpus(line(0), options=options)
    assert done.code == 2
    assert done.error_line.startswith(words)
    assert there(store) == {}


def test_two_lines_with_one_output(corpus: Callable[..., Finished]) -> None:
    done = corpus(line(0), {**line(1), "out": line(0)["out"]})
    assert done.code == 2
    assert done.error_line.startswith(
        "memory://corpus/out/v00.wav: the output for both memory://corpus/in/v00.wav and memory://corpus/in/v01.wav;"
    )


def test_what_appears_meanwhile_stays(
    corpus: Callable[..., Finished], store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run is first to put it in its place: an error without leave to skip, as in folders."""
    make = FileWorker.make

    def made_by_both(self: FileWorker, *arguments: Any, **how: Any) -> Any:
        store.pipe_file("/corpus/out/v00.wav", b"theirs")
        return make(self, *arguments, **how)

    monkeypatch.setattr(FileWorker, "make", made_by_both)
    for options, code, err in ((("--skip-existing",), 0, "0 of 1 done, 1 skipped\n"), ((), 1, None)):
        store.rm("/corpus/out", recursive=True) if store.exists("/corpus/out") else None
        done = corpus(line(0), options=options)
        assert done.code == code
        if err is None:
            assert "memory://corpus/out/v00.wav: the file exists" in done.err
        else:
            assert done.err == err
        assert there(store) == {"/corpus/out/v00.wav": b"theirs"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError("Access\nDenied"), "cannot be read (Access Denied)"),
        (RuntimeError(), "cannot be read (RuntimeError)"),
        (ConnectionError("reset by peer"), "cannot be read (reset by peer)"),
    ],
)
def test_whatever_a_store_raises_is_one_line(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    store.pipe_file("/b/k", b"all of it")
    monkeypatch.setattr(type(store), "get_file", fail)
    with pytest.raises(InputError) as caught:
        download("memory://b/k", tmp_path / "k")
    assert str(caught.value) == f"memory://b/k: {words}"


def test_what_came_or_went_in_part_is_an_error(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe_file("/b/k", b"all of it")
    monkeypatch.setattr(type(store), "get_file", lambda self, url, path, **_: Path(path).write_bytes(b"all"))
    with pytest.raises(InputError, match="memory://b/k: 3 of 9 bytes came from the store"):
        download("memory://b/k", tmp_path / "k")
    (tmp_path / "k").write_bytes(b"all of it")
    monkeypatch.setattr(type(store), "put_file", lambda self, path, url, **_: self.pipe_file(url, b"all"))
    with pytest.raises(TasError, match="memory://b/k: 3 of 9 bytes are in the store"):
        upload(tmp_path / "k", "memory://b/k", overwrite=True)


def test_files_of_a_folder_alone_are_listed(store: Any) -> None:
    for name in ("/b/f/x", "/b/f/y", "/b/f/deep/z", "/b/other"):
        store.pipe_file(name, b"")
    assert names_in("memory://b/f") == {"x", "y"}
    assert names_in("memory://b") == {"other"}
    assert names_in("memory://b/none") == frozenset()


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(kind: str) -> None:
        raise ImportError(kind)

    monkeypatch.setattr(fsspec, "filesystem", missing)
    for url, package, remedy in (("s3://b/k", "s3fs", "s3_packages"), ("gs://b/k", "gcsfs", None)):
        with pytest.raises(InputError, match=f"{url}: .*needs the package {package}, which is not installed") as caught:
            download(url, tmp_path / "k")
        assert caught.value.remedy == remedy


def test_a_row_whose_worker_was_killed_is_looked_for_in_its_store(
    store: Any, settings: JobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    del one_thread
    monkeypatch.chdir(tmp_path)
    [sound] = write_sounds(tmp_path / "in", 1)
    store.put_file(str(sound), "memory://corpus/in/v00.wav")
    named = Stores(tmp_path / "names")
    source, out = map(named.local, ("memory://corpus/in/v00.wav", "memory://corpus/out/v00.wav"))
    rows = {"number": [0], "task": [FileTask(FileRequest(source, out, prompt=PROMPT), False, stores=named)]}
    attempts = Attempts()
    found: list[FileOutcome] = []
    for _ in range(2):
        [answer] = RowWorker(FileWorker(settings), str(tmp_path), 1, attempts.begin)(rows)["answer"]
        found.append(answer)
    assert [outcome.skipped for outcome in found] == [False, True]
    assert found[0].error == ""


# ------------------------------------------------------------------ one that speaks S3


needs_s3 = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("s3fs", "moto", "flask")),
    reason="needs s3fs and moto: pip install 'tas[scale]'",
)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server on this machine, of which the environment tells."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    began = time.monotonic()
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None
        assert time.monotonic() - began < 200
        time.sleep(0.1)
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@needs_s3
@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_a_batch_over_s3(tiny_model: Path, tmp_path: Path, tas_process: Run) -> None:
    sounds = write_sounds(tmp_path / "in", 3)
    code = (
        "import sys, fsspec; s = fsspec.filesystem('s3'); s.mkdir('corpus');"
        " [s.put_file(p, 's3://corpus/in/' + p.rpartition('/')[2]) for p in sys.argv[1:]]"
    )
    subprocess.run([sys.executable, "-c", code, *map(str, sounds)], check=True, timeout=200)
    lines = [
        *({"audio": f"s3://corpus/in/v0{n}.wav", "out": f"s3://corpus/out/v0{n}.wav"} for n in range(2)),
        {"audio": "s3://corpus/in/v02.wav", "out": "s3://nowhere/v02.wav"},
        {"audio": "s3://corpus/in/none.wav", "out": "s3://corpus/out/none.wav"},
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(line | {"prompt": PROMPT}) + "\n" for line in lines))
    command = ("spatialize", "--manifest", manifest, "--model", tiny_model, "--json")
    done = tas_process(*command)
    assert done.code == 1
    assert done.err.splitlines() == [
        "tas: error: s3://corpus/in/v02.wav: s3://nowhere/v02.wav: cannot be written: no such bucket",
        "tas: error: s3://corpus/in/none.wav: no such file",
        "2 of 4 done, 2 failed",
    ]
    done = tas_process(*command)
    assert done.code == 2
    assert done.error_line.startswith("s3://corpus/out/v00.wav: the file exists")
    done = tas_process(*command, "--skip-existing")
    assert done.err.splitlines()[-1] == "0 of 4 done, 2 skipped, 2 failed"
    code = "import sys, fsspec; sys.stdout.buffer.write(fsspec.filesystem('s3').cat_file('s3://corpus/out/v00.wav'))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=200).stdout
    done = tas_process("spatialize", sounds[0], "-o", tmp_path / "here.wav", "-p", PROMPT, "--model", tiny_model)
    assert (done.code, (tmp_path / "here.wav").read_bytes()) == (0, made)
    # "create" is refused by the server, where somebody else was first between our look and our write.
    code = (
        "import sys; from pathlib import Path; from tas_core.jobs.batch.stores import upload\n"
        "try: upload(Path(sys.argv[1]), 's3://corpus/out/v00.wav', overwrite=False)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(sounds[0])], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("InputError s3://corpus/out/v00.wav: the file exists"), said


@needs_s3
@pytest.mark.slow
def test_a_store_that_does_not_answer_is_one_line(
    tmp_path: Path, tiny_model: Path, tas_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "x")
    (tmp_path / "m.jsonl").write_text(f'{{"audio": "s3://b/x.wav", "prompt": "{PROMPT}", "out": "s3://b/y.wav"}}\n')
    done = tas_process("spatialize", "--manifest", tmp_path / "m.jsonl", "--model", tiny_model)
    assert done.code == 2
    assert done.error_line.startswith("s3://b: cannot be listed (Could not connect to the endpoint URL")
