"""Write a bill of materials of everything that ``pip install tas`` brings along, as CycloneDX 1.5 in JSON.

    python tools/make_sbom.py > sbom.json
    python tools/make_sbom.py dev eval simulate logs > sbom-dev.json

Read from the metadata of what is installed here, from the requirements of ``pyproject.toml`` and of the extras that are
named on, with the exact versions. The same installation gives the same bytes.
"""

import json
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from make_licenses import PROJECT, closure, licence


def address(name: str, version: str) -> str:
    """A package as package-url has it; it is also its name within the bill."""
    return f"pkg:pypi/{name}@{version}"


def component(name: str, package: Distribution, kind: str = "library") -> dict[str, Any]:
    """One package."""
    where = address(name, package.version)
    said = {"type": kind, "bom-ref": where, "name": name, "version": package.version, "purl": where}
    return {**said, "licenses": [{"license": {"name": licence(package)}}]}


def bill(*extras: str) -> dict[str, Any]:
    """The bill: the project, its packages, and who needs whom."""
    found = closure(*extras)
    project = component(PROJECT, distribution(PROJECT), "application")
    known = {PROJECT: project, **{name: component(name, package) for name, (package, _) in sorted(found.items())}}
    needs: dict[str, list[str]] = {name: [] for name in known}
    for name, (_, needed_by) in sorted(found.items()):
        for other in needed_by & needs.keys():
            needs[other].append(known[name]["bom-ref"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": project},
        "components": [each for name, each in known.items() if name != PROJECT],
        "dependencies": [{"ref": known[name]["bom-ref"], "dependsOn": sorted(refs)} for name, refs in needs.items()],
    }


if __name__ == "__main__":
    json.dump(bill(*sys.argv[1:]), sys.stdout, indent=1)
    sys.stdout.write("\n")
