"""Version names: the grammar and the precedence of Semantic Versioning 2.0.0, sections 2, 9, 11."""

import functools
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.registry import semver

# The chains that section 11 of semver.org/spec/v2.0.0 prints.
PRINTED = [
    ["1.0.0", "2.0.0", "2.1.0", "2.1.1"],
    [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ],
]
numbers = st.one_of(st.integers(0, 12), st.integers(0, 10**18 - 1))
identifiers = st.one_of(
    numbers.map(str),
    st.from_regex(r"[0-9]{0,3}[a-zA-Z-][0-9a-zA-Z-]{0,5}", fullmatch=True),
)


@st.composite
def versions(draw: st.DrawFn) -> str:
    core = ".".join(str(draw(st.integers(0, 99))) for _ in range(3))
    prerelease = draw(st.lists(identifiers, max_size=2))
    return f"{core}-{'.'.join(prerelease)}" if prerelease else core


@pytest.mark.parametrize("chain", PRINTED)
def test_the_order_is_the_one_that_the_standard_prints(chain: list[str]):
    assert sorted(reversed(chain), key=semver.sort_key) == chain


@given(versions(), versions())
def test_the_order_of_sort_keys_is_the_precedence(one: str, other: str):
    by_key = (semver.sort_key(one) > semver.sort_key(other)) - (
        semver.sort_key(one) < semver.sort_key(other)
    )

    assert by_key == precedence(one, other)


@given(st.lists(versions(), min_size=2, max_size=6, unique=True))
def test_different_versions_have_different_keys(found: list[str]):
    for one, other in itertools.combinations(found, 2):
        assert semver.sort_key(one) != semver.sort_key(other)


@given(versions())
def test_a_release_comes_after_its_own_prereleases(version: str):
    release = version.split("-", 1)[0]

    assert version == release or semver.sort_key(release) > semver.sort_key(version)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "v1.2.3",
        "01.2.3",
        "1.02.3",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3-a..b",
        "1.2.3+build",
        "1.2.3-a+b",
        "-1.2.3",
        " 1.2.3",
        "1.2.3\n",
        "1.2.3-ä",
        "\u0661.\u0662.\u0663",
        "1.2.3-" + "a" * 60,
        "1.2.3/../4.5.6",
        f"{10**18}.0.0",
    ],
)
def test_anything_else_is_refused(text: str):
    with pytest.raises(ValueError, match="is not a semantic version"):
        semver.parse(text)


def precedence(one: str, other: str) -> int:
    """Section 11 word by word: -1, 0 or 1."""
    (core, _, prerelease), (other_core, _, other_prerelease) = (
        text.partition("-") for text in (one, other)
    )
    numbers_, others = (tuple(map(int, text.split("."))) for text in (core, other_core))
    if numbers_ != others:
        return 1 if numbers_ > others else -1
    if not (prerelease and other_prerelease):
        return bool(other_prerelease) - bool(prerelease)
    return functools.reduce(
        lambda found, pair: found or _compared(*pair),
        itertools.zip_longest(prerelease.split("."), other_prerelease.split(".")),
        0,
    )


def _compared(one: str | None, other: str | None) -> int:
    if one is None or other is None:
        return -1 if one is None else 1
    if one.isdigit() and other.isdigit():
        return (int(one) > int(other)) - (int(one) < int(other))
    if one.isdigit() != other.isdigit():
        return -1 if one.isdigit() else 1
    return (one > other) - (one < other)
