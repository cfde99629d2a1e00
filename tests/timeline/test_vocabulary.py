from __future__ import annotations

import yaml

from tas_core.timeline.vocabulary import words_file


def test_strengths_in_the_vocabulary_are_ordered_and_audibly_apart() -> None:
    data = yaml.safe_load(words_file("directions.yaml").read_text(encoding="utf-8"))
    degrees = [entry["degrees"] for entry in data["strengths"].values()]
    steps = [b - a for a, b in zip(degrees, degrees[1:], strict=False)]
    assert min(steps) >= 15
    assert max(degrees) == 90
