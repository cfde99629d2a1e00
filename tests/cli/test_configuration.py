"""Options from variables and a file: what counts first, what reaches the commands, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tas_cli.configuration import FOR_ALL, Setting, find_settings, load_configuration
from tas_cli.main import app
from tests.conftest import TAS, Finished

Run = Callable[..., Finished]
Make = Callable[..., Path]

PROGRAM = typer.main.get_command(app)
SETTINGS = tuple(find_settings(PROGRAM))


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No variable of ours, and a folder of configurations that does not exist; returns it."""
    for name in os.environ:
        if name.startswith("TAS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg"


@pytest.fixture
def configured(nothing_configured: Path) -> Callable[[str], Path]:
    """Writes the user's file; returns its path."""

    def write(text: str) -> Path:
        path = nothing_configured / "tas" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def in_effect(tas: Run, command: str, option: str) -> tuple[Any, str]:
    """Value and origin of an option as ``tas config --all --json`` says them."""
    done = tas("config", "--all", "--json")
    assert done.code == 0, done.err
    (found,) = (
        value for value in json.loads(done.out)["values"] if (value["command"], value["option"]) == (command, option)
    )
    return found["value"], found["origin"]


def options(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from options(inner, (*words, name))
    yield from (
        (words, each)
        for each in command.params
        if each.param_type_name == "option" and not each.name.endswith("_completion")  # those are Typer's
    )


def other_value(setting: Setting) -> Any:
    """A valid value that is not the default."""
    if setting.kind is bool:
        return not setting.default
    if setting.choices:
        return next(choice for choice in setting.choices if choice != setting.default)
    if setting.kind is str:
        return ["b", "a"] if setting.many else "another"
    low = 0 if setting.low is None else setting.low
    return next(setting.kind(value) for value in (low + 1, low + 2) if value != setting.default)


# ------------------------------------------------------------------ what counts first


def test_flag_before_variable_before_file_before_default(
    tas: Run,
    make_audio: Make,
    make_timeline: Make,
    tiny_model: Path,
    tmp_path: Path,
    configured: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = ["spatialize", make_audio(), "-t", make_timeline("start: 0, text: a tone on the left")]
    call += ["-o", tmp_path / "out.wav", "--force", "--model", tiny_model, "--json"]
    seed = lambda *more: json.loads(tas(*call, *more).out)["seed"]  # noqa: E731
    assert seed() == 0
    configured("[spatialize]\nseed = 4")
    assert seed() == 4
    monkeypatch.setenv("TAS_SPATIALIZE_SEED", "5")
    assert seed() == 5
    assert seed("--seed", 6) == 6


def test_what_is_said_for_all_commands_yields_to_what_is_said_for_one(
    tas: Run, configured: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = configured('device = "cuda"')
    assert in_effect(tas, "spatialize", "device") == ("cuda", f"{path}: device")
    configured('device = "cuda"\n[spatialize]\ndevice = "auto"')
    assert in_effect(tas, "spatialize", "device") == ("auto", f"{path}: spatialize.device")
    assert in_effect(tas, "train", "device") == ("cuda", f"{path}: device")
    monkeypatch.setenv("TAS_DEVICE", "cpu")
    assert in_effect(tas, "spatialize", "device") == ("cpu", "TAS_DEVICE")
    assert in_effect(tas, "train", "device") == ("cpu", "TAS_DEVICE")
    monkeypatch.setenv("TAS_TRAIN_DEVICE", "cuda")
    assert in_effect(tas, "train", "device") == ("cuda", "TAS_TRAIN_DEVICE")


def test_a_model_for_all_commands_is_used_and_leaves_lists_of_systems_alone(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAS_MODEL", str(tiny_model))
    monkeypatch.setenv("TAS_SPATIALIZE_JSON", "yes")
    timeline = make_timeline("start: 0, text: a tone on the left")
    done = tas("spatialize", make_audio(), "-t", timeline, "-o", tmp_path / "out.wav")
    assert json.loads(done.out)["model"] == str(tiny_model)
    assert in_effect(tas, "eval data", "model") == ([], "default")


def test_a_variable_turns_off_what_the_file_turns_on(
    tas: Run, configured: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured("[config]\njson = true")
    assert json.loads(tas("config").out)["values"][0]["option"] == "json"
    monkeypatch.setenv("TAS_CONFIG_JSON", "off")
    assert tas("config").out.startswith("file: ")


def test_an_empty_variable_is_none(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TAS_CONFIG", "TAS_DEVICE", "TAS_SPATIALIZE_SEED"):
        monkeypatch.setenv(name, "")
    assert tas("config").out.splitlines()[1].startswith("nothing is configured")


def test_which_file_is_read(
    tas: Run, configured: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = configured("jobs = 3"), tmp_path / "other.toml"
    other.write_text("jobs = 4")
    assert in_effect(tas, "eval data", "jobs") == (3, f"{path}: jobs")
    monkeypatch.setenv("TAS_CONFIG", str(other))
    assert in_effect(tas, "eval data", "jobs") == (4, f"{other}: jobs")
    monkeypatch.setenv("TAS_CONFIG", os.devnull)
    assert in_effect(tas, "eval data", "jobs") == (None, "default")
    monkeypatch.delenv("TAS_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", "xdg")  # relative, which XDG says to ignore
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert in_effect(tas, "eval data", "jobs") == (None, "default")
    home = tmp_path / "home" / ".config" / "tas"
    home.mkdir(parents=True)
    (home / "config.toml").write_text("jobs = 5")
    assert in_effect(tas, "eval data", "jobs") == (5, f"{home / 'config.toml'}: jobs")


# ------------------------------------------------------------------ every option of every command


OF_A_CALL = {"version", "force", "skip-existing", "prompt", "channel", "track", "start", "duration", "end", "sidecar"}


def test_every_option_is_configurable_or_belongs_to_a_call() -> None:
    """A new option of a type that cannot be read from a file fails here."""
    known = {(setting.command, setting.option) for setting in SETTINGS}
    for words, option in options(PROGRAM):
        name = option.opts[0].removeprefix("--")
        is_path = "path" in repr(getattr(option, "type_descriptor", "")).lower()
        exempt = option.required or is_path or name in OF_A_CALL
        assert ((words, name) in known) != exempt, f"tas {' '.join(words)} --{name}"


def test_variables_are_distinct() -> None:
    names = [setting.variable for setting in SETTINGS] + [f"TAS_{name.upper()}" for name in FOR_ALL] + ["TAS_CONFIG"]
    assert len(set(names)) == len(names)


def test_options_for_all_commands_are_of_one_type() -> None:
    for name, kind in FOR_ALL.items():
        assert {s.kind for s in SETTINGS if s.option == name} == {kind}


@pytest.mark.parametrize("through", ["file", "variables"])
def test_every_value_reaches_its_command(
    configured: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, through: str
) -> None:
    """What is configured is what Typer gives to the command's function."""
    if through == "file":
        tables: dict[str, list[str]] = {}
        for s in SETTINGS:
            tables.setdefault(".".join(s.command), []).append(f"{s.option} = {json.dumps(other_value(s))}")
        text = "\n".join(tables.pop(""))
        text += "".join(f"\n[{name}]\n" + "\n".join(lines) for name, lines in tables.items())
        assert tomllib.loads(text)
        configured(text)
    else:
        for s in SETTINGS:
            value = other_value(s)
            monkeypatch.setenv(s.variable, " ".join(value) if s.many else str(value))
    context = PROGRAM.make_context("tas", [], resilient_parsing=True)
    context.default_map = load_configuration(PROGRAM).default_map()
    given = {}
    for s in [s for s in SETTINGS if s.command]:
        inner, command = context, PROGRAM
        for word in s.command:
            command = command.commands[word]
            inner = command.make_context(word, [], parent=inner, resilient_parsing=True)
        given[s.variable] = inner.params[s.parameter]
    assert given == {s.variable: other_value(s) for s in SETTINGS if s.command}
    for s in [s for s in SETTINGS if not s.command]:  # the callback of the program sees to these
        assert context.default_map[s.parameter] == other_value(s)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle = 'slots'", "unknown key 'modle', did you mean 'model'?"),
        ("[spatialise]\nsteps = 3", "unknown table [spatialise], did you mean 'spatialize'?"),
        ("[spatialize]\nstep = 3", "unknown key 'spatialize.step', did you mean 'steps'?"),
        ("[data.bank]\ntext_encoder = 'clip'", "unknown key 'data.bank.text_encoder', did you mean 'text-encoder'?"),
        ("seed = 3", "unknown key 'seed', expected it in the table of a command, such as [spatialize]"),
        ("[data]\nquality = 3", "unknown key 'data.quality', expected some of bank, check, "),
        ("[spatialize]\nsteps = 'many'", "spatialize.steps: expected a whole number from 1 to 1000, not str 'many'"),
        ("[spatialize]\nsteps = 0", "spatialize.steps: expected a whole number from 1 to 1000, not int 0"),
        ("[spatialize]\nsteps = 2.0", "spatialize.steps: expected a whole number from 1 to 1000, not float 2.0"),
        ("[spatialize]\nsteps = true", "spatialize.steps: expected a whole number from 1 to 1000, not bool True"),
        ("[spatialize]\njson = 1", "spatialize.json: expected true or false, not int 1"),
        ("[train]\nlearning-rate = nan", "train.learning-rate: expected a number from 0, not float nan"),
        ("[eval.data]\nmodel = 'slots'", "eval.data.model: expected a list, each a string, not str 'slots'"),
        ("[eval.data]\nmodel = ['slots', 3]", "eval.data.model: expected a list, each a string, not list ['slots', 3]"),
        ("device = 3", "device: expected one of auto, cpu, cuda, not int 3"),
        ("device = 'tpu'", "device: expected one of auto, cpu, cuda, not str 'tpu'"),
        ("[device]\nname = 'cpu'", "device: expected one of auto, cpu, cuda, not dict {'name': 'cpu'}"),
        ("model = 3", "model: expected a string, not int 3"),
        ("progress = 'dots'", "progress: expected one of auto, bar, json, off, not str 'dots'"),
        ("[spatialize]\nprogress = 'off'", "unknown key 'spatialize.progress', expected it before the first table, fo"),
        ("[eval]\nsplit = 'val'", "unknown key 'eval.split', expected some of data, files"),
        ("jobs = 0", "jobs: expected a whole number from 1, not int 0"),
        ("spatialize = 3", "spatialize: expected a table [spatialize], not int 3"),
        ("[spatialize]\nforce = true", "spatialize.force: --force belongs to a call and cannot be configured"),
        ("[spatialize]\nout = 'o.wav'", "spatialize.out: --out belongs to a call and cannot be configured"),
        ("[spatialize]\nprompt = 'a dog'", "spatialize.prompt: --prompt belongs to a call and cannot be configured"),
        ("[spatialize]\nsidecar = true", "spatialize.sidecar: --sidecar belongs to a call and cannot be configured"),
        ("[spatialize]\nskip-existing = true", "spatialize.skip-existing: --skip-existing belongs to a call and"),
        ("steps =\n", "not valid TOML: Invalid value (at line 1, column 8)"),
        (f"jobs = {'9' * 5000}", "not valid TOML: Exceeds the limit"),
        (f"jobs = {'9' * 400}", "jobs: expected a whole number from 1, not int 9999"),
        (f"jobs = 0x{'f' * 5000}", "jobs: expected a whole number from 1, not int of thousands of digits"),
        (f"[train]\nlearning-rate = {'9' * 400}", "train.learning-rate: expected a number from 0, not int 9999"),
        ("a = " + "[" * 5000, "not valid TOML: "),
        ("a = 1\na = 2\n", "not valid TOML: Cannot overwrite a value (at line 2, column 6)"),
    ],
)
def test_a_wrong_file_is_one_line_with_file_and_key(
    tas: Run, configured: Callable[[str], Path], text: str, message: str
) -> None:
    path = configured(text)
    for command in (["config"], ["plot", "--help"], ["models", "path", "slots"]):
        done = tas(*command)
        assert done.code == 2
        assert done.out == ""
        assert done.error_line.startswith(f"{path}: {message}")


def test_a_file_that_cannot_be_read_is_one_line(tas: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "latin.toml"
    binary.write_bytes("model = 'é'".encode("latin-1"))
    for path, why in [(tmp_path / "absent.toml", "No such file"), (tmp_path, "Is a directory"), (binary, "UTF-8")]:
        monkeypatch.setenv("TAS_CONFIG", str(path))
        done = tas("config")
        assert done.code == 2
        assert done.error_line.startswith(f"{path}: ")
        assert why in done.error_line


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TAS_SPATIALIZE_STEPS", "many", "a whole number from 1 to 1000"),
        ("TAS_SPATIALIZE_STEPS", "0", "a whole number from 1 to 1000"),
        ("TAS_SPATIALIZE_JSON", "maybe", "true or false"),
        ("TAS_TRAIN_WINDOW", "inf", "a number from 0.5 to 30"),
        ("TAS_JOBS", "1.5", "a whole number from 1"),
        ("TAS_DEVICE", "tpu", "one of auto, cpu, cuda"),
        ("TAS_PROGRESS", "dots", "one of auto, bar, json, off"),
    ],
)
def test_a_wrong_variable_is_one_line_with_its_name(
    tas: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    done = tas("models", "path", "slots")
    assert done.code == 2
    assert done.error_line == f"{name}: expected {expected}, not {value!r}"


def test_an_unknown_variable_is_pointed_out(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAS_SPATIALISE_STEPS", "3")
    done = tas("config")
    assert done.code == 0
    assert done.err == "tas: warning: TAS_SPATIALISE_STEPS: no option has this variable\n"
    assert json.loads(tas("config", "--json").out)["unknown_variables"] == ["TAS_SPATIALISE_STEPS"]


# ------------------------------------------------------------------ what is shown, and what is left alone


def test_help_shows_the_configured_default(tas: Run, configured: Callable[[str], Path]) -> None:
    configured("[data.pack]\nexcerpt = 7.5")
    assert "[default: 7.5;" in " ".join(tas("data", "pack", "--help").out.split())


def test_the_table_names_command_option_value_origin_and_variable(
    tas: Run, configured: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = configured("[data.bank]\njobs = 7")
    monkeypatch.setenv("TAS_EVAL_DATA_MODEL", "slots mono")
    file, head, first, second = tas("config").out.splitlines()
    assert file == f"file: {path}"
    assert head.split() == ["command", "option", "value", "from", "variable"]
    bank, data = sorted((first, second), key=lambda line: "--model" in line)
    assert data.split() == ["tas", "eval", "data", "--model", '["slots",', '"mono"]', *2 * ["TAS_EVAL_DATA_MODEL"]]
    assert bank.split()[:4] == ["tas", "data", "bank", "--jobs"]
    assert f"{path}: data.bank.jobs" in bank


def test_where_nothing_is_configured_nothing_is_read_or_made(nothing_configured: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from tas_cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('tomllib' in sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", program, "models", "path", "slots"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "False\n"
    assert not nothing_configured.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_that_of_the_package(tas: Run) -> None:
    from importlib.metadata import version

    done = tas("--version")
    assert (done.code, done.out, done.err) == (0, f"tas {version('tas')}\n", "")


# ------------------------------------------------------------------ completion by the shell


def completion(shell: str, *words: str) -> str:
    """What the program tells a shell to offer for the last of ``words``."""
    environment = os.environ | {
        "_TAS_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": " ".join(words),
    }
    return subprocess.run(
        [str(TAS)], capture_output=True, text=True, env=environment, timeout=60, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("tas", "spat"), {"spatialize"}),
        (("tas", "spatialize", "--st"), {"--steps"}),
        (("tas", "spatialize", "--mo"), {"--model"}),
        (("tas", "models", "in"), {"info"}),
        (("tas", "models", "path", "sl"), {"slots"}),
        (("tas", "spatialize", "--model", "sl"), {"slots"}),
        (("tas", "spatialize", "--clip", ""), {"rescale", "clamp", "error"}),
        (("tas", "eval", "data", "--captions", "d"), {"degrees"}),
    ],
)
def test_commands_options_and_models_are_completed(words: tuple[str, ...], offered: set[str]) -> None:
    found = set(completion("bash", *words).split())
    assert found >= offered
    assert all(name.startswith(words[-1]) for name in found)
    for name in offered:
        assert f'"{name}"' in completion("zsh", *words)


def test_the_script_for_bash_completes_in_bash(tmp_path: Path) -> None:
    environment = os.environ | {"_TAS_COMPLETE": "source_bash"}
    script = subprocess.run([str(TAS)], capture_output=True, text=True, env=environment, timeout=60, check=True).stdout
    (tmp_path / "tas.bash").write_text(script)
    lines = "source tas.bash; complete -p tas; COMP_WORDS=(tas spat); COMP_CWORD=1; "
    lines += "_tas_completion tas; echo ${COMPREPLY[@]}"
    path = f"{TAS.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", lines],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        timeout=60,
        check=True,
    )
    registered, offered = done.stdout.splitlines()
    assert "_tas_completion" in registered
    assert offered == "spatialize"


def test_there_is_a_script_for_zsh() -> None:
    environment = os.environ | {"_TAS_COMPLETE": "source_zsh"}
    done = subprocess.run([str(TAS)], capture_output=True, text=True, env=environment, timeout=60, check=True)
    assert done.stdout.lstrip().startswith("#compdef tas\n")
    assert "_TAS_COMPLETE=complete_zsh tas" in done.stdout


def test_a_wrong_file_does_not_get_into_the_way_of_completion(configured: Callable[[str], Path]) -> None:
    configured("modle = 3")
    assert completion("bash", "tas", "spat") == "spatialize"
