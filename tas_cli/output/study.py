"""What ``tas study`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tas_cli.output.tables import print_table

if TYPE_CHECKING:
    from tas_core.reporting.study.page import StudyFiles
    from tas_core.reporting.study.scoring import Accuracy, StudyScores


def print_study(made: StudyFiles) -> None:
    """Say what was made, and which clips are not in it."""
    print(f"{made.page}: {made.items} recordings, {made.clips} clips, {made.page_bytes / 1e6:.1f} MB")
    print(f"{made.key}: which number is which system; keep it from the listeners")
    if made.moving:
        print(f"  {len(made.moving)} clips left out because an object moves or has several places, or none has one")
    if made.unmatched:
        print(f"  {len(made.unmatched)} clips left out because not every folder has them")


def print_scores(scores: StudyScores) -> None:
    """Print the systems as a table, and what was not counted."""
    around = ("front-back", "height") if scores.around else ()
    rows = [
        (each.system, *map(_cell, (each.rank_object, each.rank_audio, each.front_back, each.height)[: 2 + len(around)]))
        for each in scores.systems
    ]
    print_table(("system", "rank-object", "rank-audio", *around), rows)
    print(f"{scores.listeners} listeners; brackets: {100 * scores.level:g} % intervals over listeners and clips")
    if scores.failed_check:
        fate = "included" if scores.failed_included else "not counted"
        print(f"{len(scores.failed_check)} failed the headphone check, {fate}: {', '.join(scores.failed_check)}")
    for name, count in scores.unanswered.items():
        print(f"{name}: {count} items left open, not counted")


def _cell(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return "not answered"
    interval = f"[{accuracy.low:.3f}, {accuracy.high:.3f}]"
    return f"{accuracy.value:.3f} {interval}  {accuracy.right} of {accuracy.asked}"
