"""Processes that die at a chosen call to AWS: a fork whose botocore ends it, as a Lambda may end.
Nothing of the product is replaced; the hook sits on the fork's own boto3 session."""

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from tests.conftest import forget_everything

_READS = ("BatchGet", "Get", "Describe", "List", "Query", "Head", "Invoke")
_DIED, _RAISED = 77, 1


@dataclass(frozen=True)
class Moment:
    """The n-th mutating call of a process, from 1, and whether it was carried out."""

    call: int
    after: bool


def mutating_calls(act: Callable[[], object]) -> list[str]:
    """Run `act` in a process that lives, and name the mutating calls it made."""
    read_end, write_end = os.pipe()

    def tell(name: str) -> None:
        os.write(write_end, f"{name}\n".encode())

    code = _run_apart(act, lambda session: session.events.register("before-call", _seen(tell)))
    os.close(write_end)
    with os.fdopen(read_end) as told:
        names = told.read().split()
    assert code == 0, "the process that was to live did not"
    return names


def moments(calls: list[str]) -> list[Moment]:
    """Before the first call and after each: after one is before the next, as AWS sees it."""
    return [Moment(1, after=False), *(Moment(n, after=True) for n in range(1, len(calls) + 1))]


def die_at(moment: Moment, act: Callable[[], object]) -> bool:
    """Run `act` in a process that dies then; False when it made fewer calls and lived."""
    left = moment.call

    def count(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(_DIED)

    event = "after-call" if moment.after else "before-call"
    code = _run_apart(act, lambda session: session.events.register(event, _seen(count)))
    assert code in (0, _DIED), f"the process ended with {code}"
    return code == _DIED


def together(acts: list[Callable[[], object]]) -> None:
    """Run all of them at once, each in a process with clients of its own."""
    children = [_fork(act, lambda _: None) for act in acts]
    codes = [_await(child) for child in children]
    assert codes == [0] * len(acts)


def _seen(tell: Callable[[str], None]) -> Callable[..., None]:
    def hook(model: Any, **_: Any) -> None:
        if not model.name.startswith(_READS):
            tell(model.name)

    return hook


def _run_apart(act: Callable[[], object], prepare: Callable[[Any], None]) -> int:
    return _await(_fork(act, prepare))


def _fork(act: Callable[[], object], prepare: Callable[[Any], None]) -> int:
    child = os.fork()
    if child != 0:
        return child
    try:
        prepare(boto3.DEFAULT_SESSION)
        forget_everything()  # the fork's clients are made anew, and inherit the hook
        act()
        os._exit(0)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(_RAISED)


def _await(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
