"""Write the licences of everything that ``pip install tas`` brings along to ``docs/LICENSES.md``.

    python tools/make_licenses.py

Read from the metadata of what is installed here, from the requirements of ``pyproject.toml`` on. Versions are left
out, so the page holds for all that the requirements allow; the tests compare it with what is installed where they run.
"""

import platform
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).resolve().parents[1] / "docs" / "LICENSES.md"
PROJECT = "tas"
LONGEST = 60
TEXTS = {
    "MIT": "Permission is hereby granted, free of charge",
    "BSD-3-Clause": "Neither the name",
    "Apache-2.0": "Apache License",
}
"""What a licence is told by where metadata hold its whole text."""
HEAD = """# Licences of what is installed with `tas`

`tas` itself is MIT. `pip install tas` brings these packages along, here with what their metadata say; made by
`tools/make_licenses.py`, and compared by a test with what is installed. Which of them come depends on the platform:
packages of NVIDIA only where PyTorch for CUDA is installed. Sounds, soundfonts and weights have licences of their own:
[MODEL_CARD](../MODEL_CARD.md), [REALBENCH](REALBENCH.md), `examples/README.md`.

| package | licence | needed by |
|---|---|---|
"""


def platform_name() -> str:
    """System, processor and Python, such as linux-x86_64-py311."""
    version = "".join(platform.python_version_tuple()[:2])
    return f"{platform.system().lower()}-{platform.machine()}-py{version}"


def closure(*extras_of_project: str) -> dict[str, tuple[Distribution, set[str]]]:
    """All that is installed because of the project and some of its extras, by name, with what needs it."""
    found: dict[str, tuple[Distribution, set[str]]] = {}
    waiting = [(PROJECT, "", frozenset({"", *extras_of_project}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, needed_by, extras = waiting.pop()
        name = canonicalize_name(name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        if name != PROJECT:
            found.setdefault(name, (package, set()))[1].add(needed_by)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for line in package.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append((needed.name, name, frozenset(needed.extras | {""})))
    return found


def licence(package: Distribution) -> str:
    """What a package's metadata say of its licence, in a few words."""
    about = package.metadata
    if said := about.get("License-Expression"):
        return said
    said = (about.get("License") or "").strip()
    if said and len(said) <= LONGEST and "\n" not in said and said.lower() != "unknown":
        return said
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License ::")]
    if classifiers:
        return ", ".join(classifiers)
    return next((name for name, text in TEXTS.items() if text in said), "not said in its metadata")


def rows() -> list[str]:
    """Rows of the table, by name."""
    return [
        f"| {name} | {re.sub(r'[|]', '/', licence(package))} | {', '.join(sorted(needed_by))} |"
        for name, (package, needed_by) in sorted(closure().items())
    ]


if __name__ == "__main__":
    PAGE.write_text(HEAD + "\n".join(rows()) + "\n", encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(rows())} packages\n")
