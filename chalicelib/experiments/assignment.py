"""Who is in an experiment and in which arm, from the hash of a unit alone: no write decides it.
Nothing here reads a table, a key, a clock or chance: the same plan gives the same answer anywhere.

A point is the first 64 bits, as a big-endian number, of blake2b(digest_size=8) over

    length(purpose) purpose  length(name) name  [length(version) version]  unit hash

where a length is four bytes, big-endian, of UTF-8, and a version is written in decimal. It is read
as a number of [0, 1) by division by 2**64. The unit hash stands last and needs no length. Purposes:
`holdout` and `namespace` (name: the namespace), and `arm` (name: the experiment, with its version).
"""

import base64
import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from chalicelib.kit.errors import Invalid

Range = tuple[float, float]
"""Half-open part [from, to) of [0, 1)."""

WHOLE: Range = (0.0, 1.0)
_NOISE = 1e-14
"""Widths that differ by less are the same width: rounding of a sum of shares is no mass."""
_SHARES_TOLERANCE = 1e-9
"""Most by which given shares may miss a sum of 1: they are written in decimal, and rounded."""


class Segment(NamedTuple):
    """Points [start, end) of [0, 1) that are reserved for an arm.

    The segments of an experiment leave no point out. The order of one arm's segments is the order
    in which it got them, and in which a ramp opens them; it need not be their order in [0, 1)."""

    start: float
    end: float
    arm: str


class Assigned(NamedTuple):
    arm: str
    propensity: float
    """Share of the arm times the exposed share: how likely this arm was for a unit that is neither
    held out nor left to other experiments of the namespace."""


class Gate(NamedTuple):
    """Points that let a unit on: from `start` up to `end`, as bytes that sort like the numbers."""

    salted: hashlib.blake2b
    start: bytes
    end: bytes


class Plan(NamedTuple):
    """An experiment made ready for `assign`; made from stored values by `make_plan`, never stored.

    answers has one more entry than cuts: answers[i] is for points of cuts[i - 1] up to cuts[i]."""

    gates: tuple[Gate, ...]
    salted: hashlib.blake2b
    cuts: tuple[bytes, ...]
    answers: tuple[Assigned | None, ...]


class SharesRefused(Invalid):
    """A share is no number of 0..1, or the shares do not add up to 1."""

    code = "shares-refused"


def hash_unit(key: bytes, unit: str) -> str:
    """Sixteen letters (96 bits, URL-safe base64): the only form in which a unit is stored.

    key: 1 to 64 secret bytes; raises ValueError on any other length. Equal letters in different
    Unicode normal forms are different units. Lone surrogates, which JSON can spell, are taken."""
    if not key:
        raise ValueError("units are hashed with a key, got an empty one")
    raw = unit.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(raw, digest_size=12, key=key).digest()
    return base64.urlsafe_b64encode(digest).decode()


def make_plan(
    *,
    experiment: str,
    salt_version: int,
    segments: Sequence[Segment],
    exposed: float = 1.0,
    namespace: str = "",
    owned: Range = WHOLE,
    holdout: float = 0.0,
) -> Plan:
    """Compute once what is the same for every unit.

    salt_version: another number deals all units anew among the arms.
    exposed: 0..1, the first part of each arm's reserved width that takes units; a larger one adds
    units to every arm in proportion, and moves none.
    owned: the part of the namespace's points that is this experiment's own.
    holdout: 0..1, share of units that are in no experiment of the namespace. No version salts
    `owned` and `holdout`: experiments exclude each other only where they see the same points."""
    gates: list[Gate] = []
    if holdout > 0:
        gates.append(Gate(_salted("holdout", namespace), _cut(holdout), _cut(1.0)))
    if owned != WHOLE:
        gates.append(Gate(_salted("namespace", namespace), _cut(owned[0]), _cut(owned[1])))
    cuts, answers = _table(segments, exposed)
    return Plan(tuple(gates), _salted("arm", experiment, str(salt_version)), cuts, answers)


def assign(plan: Plan, unit_hash: str) -> Assigned | None:
    """None: held out, another experiment's, or not exposed yet; nothing is counted for the unit."""
    gates, salted, cuts, answers = plan
    raw = unit_hash.encode()
    for gate_salted, start, end in gates:
        state = gate_salted.copy()
        state.update(raw)
        if not start <= state.digest() < end:
            return None
    state = salted.copy()
    state.update(raw)
    return answers[bisect_right(cuts, state.digest())]


def apportion(shares: Mapping[str, float]) -> tuple[Segment, ...]:
    """Reserve [0, 1) for the arms, in their order, for a new experiment. Raises SharesRefused."""
    return reapportion((), shares)


def reapportion(segments: Sequence[Segment], shares: Mapping[str, float]) -> tuple[Segment, ...]:
    """Reserve other widths and move the least: only the mass by which arms grow changes hands.

    An arm that shrinks gives up what it got last, so a share that is raised and lowered again gives
    back the same units. An arm that is not named shrinks to nothing. What an arm gets is joined to
    its last segment where it goes on from there, and is opened last by a ramp. So at any exposure
    no exposed unit changes arms unless it lies in the moved mass. Raises SharesRefused."""
    share_by_arm = _checked(shares)
    kept: dict[str, list[Range]] = {arm: [] for arm in share_by_arm}
    for start, end, arm in segments:
        kept.setdefault(arm, []).append((start, end))
    growth = {arm: share_by_arm.get(arm, 0.0) - _width(ranges) for arm, ranges in kept.items()}
    freed: list[Range] = [] if segments else [WHOLE]
    for arm, ranges in kept.items():
        freed += _give_up(ranges, -growth[arm] if share_by_arm.get(arm) else math.inf)
    freed.sort()
    for arm, ranges in kept.items():
        ranges.extend(_take(freed, growth[arm]))
    # What is left by rounding goes to an arm that grew, so that no point is without an arm.
    kept[max(filter(share_by_arm.get, share_by_arm), key=growth.__getitem__)] += freed
    return tuple(
        Segment(start, end, arm) for arm, ranges in kept.items() for start, end in _joined(ranges)
    )


def first_free(taken: Sequence[Range], width: float) -> Range | None:
    """The first room of this width (over 0, at most 1) beside the taken ranges, or None."""
    end = 0.0
    for start, taken_end in sorted([*taken, (1.0, 1.0)]):
        if start - end >= width - _NOISE:
            # A rest too narrow to be anything but rounding is taken along.
            return end, start if start - end <= width + _NOISE else end + width
        end = max(end, taken_end)
    return None


def _checked(shares: Mapping[str, float]) -> dict[str, float]:
    """The shares, without the rounding with which they were written (0.3333333333, three times)."""
    for arm, share in shares.items():
        if not 0 <= share <= 1:
            raise SharesRefused(f"the share of arm {arm!r} is {share!r}, it must be in 0..1")
    total = math.fsum(shares.values())
    if abs(total - 1) > _SHARES_TOLERANCE:
        raise SharesRefused(f"the shares add up to {total!r}, they must add up to 1")
    return {arm: share / total for arm, share in shares.items()}


def _width(ranges: Iterable[Range]) -> float:
    return math.fsum(end - start for start, end in ranges)


def _give_up(ranges: list[Range], width: float) -> list[Range]:
    """Cut this width off the end of an arm's ranges, in place; none when it is not positive."""
    freed: list[Range] = []
    while ranges and width > _NOISE:
        start, end = ranges.pop()
        if end - start > width + _NOISE:
            ranges.append((start, end - width))
            start = end - width
        freed.append((start, end))
        width -= end - start
    return freed


def _take(freed: list[Range], width: float) -> list[Range]:
    """Cut this width off the front of the freed ranges, in place; none when it is not positive."""
    taken: list[Range] = []
    while freed and width > _NOISE:
        start, end = freed.pop(0)
        if end - start > width + _NOISE:
            freed.insert(0, (start + width, end))
            end = start + width
        taken.append((start, end))
        width -= end - start
    return taken


def _joined(ranges: Iterable[Range]) -> list[Range]:
    joined: list[Range] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _salted(*parts: str) -> hashlib.blake2b:
    salted = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = part.encode()
        salted.update(len(raw).to_bytes(4, "big") + raw)
    return salted


def _cut(point: float) -> bytes:
    """Bytes that no digest of a point below sorts after; 1.0 sorts after every digest."""
    # The product is exact, and a digest is a whole number: below the point is below its ceiling.
    number = math.ceil(point * 2**64)
    return number.to_bytes(8, "big") if number < 2**64 else b"\xff" * 9


def _table(
    segments: Sequence[Segment], exposed: float
) -> tuple[tuple[bytes, ...], tuple[Assigned | None, ...]]:
    """Cuts in their order, and what is answered between them."""
    active: list[Segment] = []
    answer_by_arm: dict[str, Assigned] = {}
    for arm in {segment.arm: None for segment in segments}:
        reserved = [segment for segment in segments if segment.arm == arm]
        width = _width((start, end) for start, end, _ in reserved)
        answer_by_arm[arm] = Assigned(arm, round(width * exposed, 15))
        active += _first_part(reserved, width * exposed) if exposed < 1 else reserved
    active.sort()
    cuts: list[bytes] = []
    answers: list[Assigned | None] = [None]
    for start, end, arm in active:
        # Where segments meet, a cut stands twice, and no point lies between the two.
        cuts += [_cut(start), _cut(end)]
        answers += [answer_by_arm[arm], None]
    return tuple(cuts), tuple(answers)


def _first_part(segments: Sequence[Segment], width: float) -> list[Segment]:
    first: list[Segment] = []
    for start, end, arm in segments:
        if width <= 0:
            break
        first.append(Segment(start, min(end, start + width), arm))
        width -= end - start
    return first
