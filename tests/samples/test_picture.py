"""The picture of an experiment: an SVG that says what the answers of the analysis say.
The answers here are made up; that the app gives such answers is shown by the end-to-end tests."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from samples.picture import draw

SVG = "{http://www.w3.org/2000/svg}"


def make_comparison(metric: str, role: str, *, lift: float | None) -> dict[str, Any]:
    return {
        "metric": metric,
        "arm": "treatment",
        "role": role,
        "better": "higher",
        "lift": lift,
        "lift_interval": None if lift is None else {"low": lift - 0.03, "high": lift + 0.03},
        "lift_sequence": None if lift is None else {"low": lift - 0.06, "high": None},
        "inconclusive": "no-variance" if lift is None else None,
    }


def make_analysis(
    units: int, *, look: int | None = None, boundary: float | None = None
) -> dict[str, Any]:
    arms = [{"name": "control", "version": "1.0.0"}, {"name": "treatment", "version": "1.1.0"}]
    comparisons = [
        make_comparison("recommendation_accuracy", "primary", lift=0.09),
        make_comparison("error_rate", "guardrail", lift=None),
        make_comparison("user_satisfaction", "secondary", lift=0.04),
    ]
    return {
        "analysis": {"experiment": "one", "units": units, "arms": arms, "comparisons": comparisons},
        "verdict": {
            "look": None if look is None else {"number": look},
            "boundary": boundary,
            "z": None if look is None else 3.5,
            "arm": None,
        },
    }


def draw_to(path: Path, analyses: list[dict[str, Any]]) -> ElementTree.Element:
    draw(analyses, path)
    return ElementTree.parse(path).getroot()


def texts_of(root: ElementTree.Element) -> str:
    return "\n".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))


def mark_of(root: ElementTree.Element, look: int) -> str:
    """How a look's mark is painted."""
    [group] = [one for one in root.iter(f"{SVG}g") if one.get("id") == f"look-{look}"]
    return "\n".join(each.get("style", "") for each in group.iter())


def test_every_metric_and_both_versions_are_named(tmp_path: Path) -> None:
    root = draw_to(tmp_path / "one.svg", [make_analysis(300), make_analysis(600)])

    said = texts_of(root)
    for name in ("recommendation_accuracy", "error_rate", "user_satisfaction", "1.0.0", "1.1.0"):
        assert name in said


@pytest.mark.parametrize("looks", [[], [2], [2, 4, 5]])
def test_there_are_as_many_marks_as_looks(tmp_path: Path, looks: list[int]) -> None:
    analyses = [
        make_analysis(step * 100, look=looks.index(step) + 1 if step in looks else None)
        for step in range(1, 6)
    ]

    root = draw_to(tmp_path / "one.svg", analyses)

    ids = [group.get("id", "") for group in root.iter(f"{SVG}g")]
    marks = [name for name in ids if name.startswith("look-")]
    assert marks == [f"look-{number + 1}" for number in range(len(looks))]


def test_only_a_look_that_reached_its_boundary_is_filled(tmp_path: Path) -> None:
    analyses = [make_analysis(300, look=1, boundary=4.9), make_analysis(600, look=2, boundary=3.4)]

    root = draw_to(tmp_path / "one.svg", analyses)

    assert "fill: #ffffff" in mark_of(root, 1)
    assert "fill: #ffffff" not in mark_of(root, 2)


def test_a_metric_without_an_answer_says_why(tmp_path: Path) -> None:
    root = draw_to(tmp_path / "one.svg", [make_analysis(300)])

    assert "no lift: no-variance" in texts_of(root)


def test_the_same_answers_give_the_same_file(tmp_path: Path) -> None:
    analyses = [make_analysis(300, look=1, boundary=None)]

    draw(analyses, tmp_path / "one.svg")
    draw(analyses, tmp_path / "other.svg")

    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
