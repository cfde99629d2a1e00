"""The documentation is true: examples run, commands print what the tutorial shows, options and links exist."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import typer

import tas_core
from tas_cli.main import app
from tas_core.evaluation import metrics
from tas_core.timeline.files import parse_timeline
from tests.conftest import Finished
from tests.support.scored import write_scored
from tests.support.sofa_files import FULL_CIRCLE, on_the_plane, spherical_hrir, write_sofa
from tests.support.tiny import WideHashEncoder, phrase_table, write_material

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*(ROOT / f"{name}.md" for name in ("README", "MODEL_CARD", "CONTRIBUTING")), *(ROOT / "docs").glob("*.md")]
)
NOTES = [ROOT / "examples" / "README.md", *sorted((ROOT / "tests" / "data").glob("*/README.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (.*)$", re.MULTILINE)
_NUMBER = re.compile(r"[+-]?\b\d+(\.\d+)?")


def sections(page: Path) -> dict[str, str]:
    """Text of each section by its heading."""
    parts = _SECTION.split(page.read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks in a language."""
    return [body for found, body in _FENCE.findall(text) if found == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the examples in it."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------ docs/API.md

API = sections(ROOT / "docs" / "API.md")
SLOW = "Training and evaluation"


def run_examples(name: str, text: str, names: dict[str, Any]) -> str:
    """Run the examples of a text with names, and let it add to them; returns what went wrong."""
    source = "\n".join(blocks(text, "python"))
    test = doctest.DocTestParser().get_doctest(source, names, name, None, 0)
    said: list[str] = []
    doctest.DocTestRunner().run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    return "".join(said)


@pytest.mark.filterwarnings("ignore:.*no 'crow' found")  # as the page says
def test_examples_of_the_api_page(folder: Path) -> None:
    write_sofa(folder / "me.sofa", spherical_hrir(FULL_CIRCLE, 44_100), on_the_plane(FULL_CIRCLE))
    names: dict[str, Any] = {}
    wrong = "".join(run_examples(heading, text, names) for heading, text in API.items() if heading != SLOW)
    assert not wrong, wrong
    assert {"result", "timeline", "model", "report", "metrics", "data"} <= set(names)  # they did run


def test_examples_of_the_sphere_page() -> None:
    names: dict[str, Any] = {}
    wrong = run_examples("sphere", (ROOT / "docs" / "SPHERE.md").read_text("utf-8"), names)
    assert not wrong, wrong
    assert {"renderer", "ears", "blocks"} <= set(names)


@pytest.mark.slow
def test_examples_of_training_and_evaluation(folder: Path) -> None:
    """On material that is made in a second, with the network in its real size."""
    write_material(folder / "bank")
    phrase_table(WideHashEncoder()).save(folder / "bank" / "phrases-minilm.safetensors")
    write_scored(folder / "bench")
    wrong = run_examples(SLOW, API[SLOW], {"Path": Path})
    assert not wrong, wrong
    assert (folder / "runs" / "mine" / "checkpoint" / "config.json").is_file()


def test_the_api_page_names_all_that_the_package_offers() -> None:
    core, packages, modules = API["Names"].split("\n\n|")[1:]
    rows = re.findall(r"^(?:\| )?(`.*?`) \|", core, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(tas_core.__all__)
    for name, members in re.findall(r"^\| `([\w.]+)` \| (.*?) \|$", packages, re.MULTILINE):
        assert set(re.findall(r"`(\w+)`", members)) == set(importlib.import_module(name).__all__), name
    public = re.findall(r"^\| `([\w.]+)` \| (.*?) \|$", modules, re.MULTILINE)
    assert len(public) > 10
    for name, members in public:
        assert all(hasattr(importlib.import_module(name), member) for member in re.findall(r"`(\w+)`", members)), name


def test_the_api_page_names_all_arguments_and_their_defaults() -> None:
    """Those of the call, whom it tells how far it is, and the settings of a rendering that it takes as keywords."""
    arguments = {name: p.default for name, p in inspect.signature(tas_core.spatialize).parameters.items()}
    assert list(arguments).pop() == "settings"
    del arguments["settings"]
    arguments["progress"] = inspect.Parameter.empty
    arguments |= {field.name: field.default for field in dataclasses.fields(tas_core.RenderSettings)}
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", API["One call"].split("attribute of the result")[0], re.MULTILINE)
    assert [name for name, _ in rows] == list(arguments)
    for name, default in rows:
        if default.startswith("`"):
            assert default == f"`{arguments[name]!r}`".replace("'", '"')
        elif not default.startswith("|"):  # in words
            assert arguments[name] is None


def test_the_api_page_names_every_measure() -> None:
    measures = {name for name in metrics.__all__ if callable(getattr(metrics, name)) and name[0].islower()}
    helpers = {"mono_mono", "peak_normalised", "side_of", "spl_of_energies_db"}
    assert measures - helpers <= set(re.findall(r"`(\w+)`", API["Measures"]))


# ------------------------------------------------------------------ docs/TUTORIAL.md

TUTORIAL = (ROOT / "docs" / "TUTORIAL.md").read_text(encoding="utf-8")


def without_numbers(text: str) -> str:
    """Text in which every number is the same, for what depends on weights and on the machine."""
    return re.sub(r"[ \t]+", " ", _NUMBER.sub("#", text)).strip()


def shown(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what is shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def do(command: str, expected: str, tas: Callable[..., Finished], folder: Path) -> str:
    """Do what a reader would; returns what is not as shown."""
    words = shlex.split(command)
    if words[0] == "cat":
        path = folder / words[1]
        if not path.exists():  # the page says what to write into it
            path.write_text(expected, encoding="utf-8")
        return "" if path.read_text(encoding="utf-8").rstrip("\n") == expected.rstrip("\n") else path.read_text()
    assert words[0] == "tas", command
    target = Path(words.pop()) if words[-2] == ">" else None
    done = tas(*(word for word in words[1:] if word != ">"))
    if target is not None:
        target.write_text(done.out, encoding="utf-8")
    printed = done.err + ("" if target is not None else done.out)
    wanted, got = without_numbers(expected), without_numbers(printed)
    alike = doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS)
    fails = "tas: error:" in expected
    return "" if alike and (done.code != 0) == fails else f"{command}\nexit code {done.code}\n{printed}\n"


def test_the_tutorial_does_what_it_shows(tas: Callable[..., Finished], folder: Path) -> None:
    """Commands in order, in one folder; what they print is compared but for its numbers."""
    count, wrong, names = 0, "", dict[str, Any]()
    for language, body in _FENCE.findall(TUTORIAL):
        if language == "python":
            wrong += run_examples("tutorial", f"```python\n{body}```", names)
        for command, expected in shown(body) if language == "console" else ():
            wrong += do(command, expected, tas, folder)
            count += 1
    assert not wrong, wrong
    assert count == TUTORIAL.count("\n$ ")


def test_only_the_installation_is_not_run() -> None:
    commands = [body for language, body in _FENCE.findall(TUTORIAL) if language not in ("console", "python")]
    assert len(commands) == 1
    assert "make install" in commands[0]


# ------------------------------------------------------------------ all pages


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, place = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if place:
            found = _FENCE.sub("", target.read_text(encoding="utf-8"))
            headings = re.findall(r"^#+ (.*)$", found, re.MULTILINE)
            assert place in {anchor(heading) for heading in headings}, link


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / link).resolve() for link in re.findall(r"\]\(([\w/]+\.md)\)", text)}
    assert {*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"} <= linked
    first, *_ = re.findall(r"\]\(([\w/]+\.md)\)", sections(ROOT / "README.md")["How it works"])
    assert first == "docs/ARCHITECTURE.md"


_FOLDERS = ("benchmarks", "docs", "examples", "prompts", "scripts", "tas_cli", "tas_core", "tests", "tools")
_PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(_FOLDERS)})/[\w./-]*")
_PACKAGES = sorted(path.parent.name for path in (ROOT / "tas_core").glob("*/__init__.py"))


def exists(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something that a module has."""
    *parents, last = name.split(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        if not parents or not exists(".".join(parents)):
            return False
        found: Any = tas_core
        for part in name.split(".")[1:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
    return True


@pytest.mark.parametrize("page", [*PAGES, *NOTES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_and_module_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths = {match.rstrip(".") for match in _PATH.findall(text)}
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    spans = re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))
    alone = {span for span in spans if re.fullmatch(r"\w+\.(py|sh)", span)}
    files = {path.name for folder in _FOLDERS for path in (ROOT / folder).rglob("*.*")}
    assert alone <= files
    modules = set(re.findall(r"\btas_core(?:\.[a-z]\w*)+", text))
    modules |= {f"tas_core.{span}" for span in spans if re.fullmatch(rf"(?:{'|'.join(_PACKAGES)})(?:\.[a-z_]+)+", span)}
    assert {name for name in modules if not exists(name)} == set()


def test_what_the_changelog_says_that_names_are_now_exists() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("### API: modules and names")[1].split("\n### ")[0]
    now = " ".join(re.findall(r"^\| .*? \| (.*) \|$", text, re.MULTILINE))
    names = set(re.findall(r"\btas_core(?:\.\w+)+", now))
    assert len(names) > 80
    assert {name for name in names if not exists(name)} == set()


def test_the_drawing_of_the_main_job_names_modules_that_exist() -> None:
    (drawing,) = (block for block in blocks(sections(ROOT / "docs" / "ARCHITECTURE.md")["The main job"], ""))
    named = re.findall(rf"\b((?:{'|'.join(_PACKAGES)})\.[a-z_]+)", drawing)
    assert len(named) > 6
    assert [name for name in named if not exists(f"tas_core.{name}")] == []


@pytest.mark.usefixtures("folder")
def test_the_readme_example_of_python() -> None:
    (program,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    exec(program, {})
    given, made = soundfile.info("examples/duet.flac"), soundfile.info("duet.wav")
    assert (made.channels, made.frames, made.samplerate) == (2, given.frames, given.samplerate)


def test_the_readme_timeline_can_be_read() -> None:
    (timeline,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "yaml")
    assert len(parse_timeline(timeline).segments) == 3


def known_options() -> dict[str, set[str]]:
    """Options of each command by its words, such as ``data bank``."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, (*words, name))
        yield " ".join(words), {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)} | {"--help"}

    return dict(walk(typer.main.get_command(app), ()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_the_options_that_pages_use(page: Path) -> None:
    known = known_options()
    text = page.read_text(encoding="utf-8")
    lines = [line for _, body in _FENCE.findall(text) for line in body.replace("\\\n", " ").splitlines()]
    for line in [*lines, *re.findall(r"`(tas [^`]*)`", text)]:
        for call in re.findall(r"(?:^|[|(]|\$) ?tas ([^|#)]*)", line):
            words = re.match(r"[a-z-]+(?: [a-z-]+)?", call)
            name = next((n for n in (words[0], words[0].split()[0]) if n in known), "") if words else ""
            call = re.sub(r'"[^"]*"', "", call)
            for option in re.findall(r"(?<= )--?[a-z][\w-]*", f" {call}"):
                assert option in known[name], f"{line}: {option}"


_PROGRAM = re.compile(r"python ((?:benchmarks|tools)/\w+\.py)([^`\n#|]*)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_programs_have_the_options_that_pages_use(page: Path) -> None:
    """Those of benchmarks and tools; and what they cannot do without is said, but in the log of trials."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for name, words in _PROGRAM.findall(text):
        source = (ROOT / name).read_text(encoding="utf-8")
        used = set(re.findall(r"(?<= )--[a-z][\w-]*", words))
        assert {option for option in used if f'"{option}"' not in source} == set(), name
        needed = set(re.findall(r'add_argument\("(--[\w-]+)"[^\n]*required=True', source))
        assert page.stem == "EXPERIMENTS" or not used or needed <= used, f"{name}{words}"
