"""Write the versions that tests run with to ``constraints/PLATFORM.txt``, which ``scripts/install.sh`` installs by.

    python tools/make_constraints.py

All that ``pip install -e '.[dev,eval,scale]'`` brought into this environment, with its exact version, for this system
and Python: machines that run the tests have the same, and a new release of some package is met when somebody runs this
again, not in the middle of other work. Users are not bound by it; for them the ranges of ``pyproject.toml`` hold.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from make_licenses import closure, platform_name

FOLDER = Path(__file__).resolve().parents[1] / "constraints"
HEAD = """# Versions that the tests run with, made by tools/make_constraints.py in an environment of scripts/install.sh
# and of tas[scale], which few machines need: see docs/SCALE.md.
# torchvision (needed by open_clip_torch) has to match torch.
"""


def lines() -> list[str]:
    """One per package, by name."""
    return [
        f"{name}=={package.version}"
        for name, (package, _) in sorted(closure("dev", "eval", "simulate", "logs", "scale").items())
    ]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{platform_name()}.txt"
    path.write_text(HEAD + "\n".join(lines()) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}: {len(lines())} packages\n")
