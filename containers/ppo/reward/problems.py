"""What can be wrong with a question or an artifact; HTTP's words for it are in `serving`.
Nothing here answers anything."""

from typing import NamedTuple


class Flaw(NamedTuple):
    """Where in a question something is wrong or strange, and why: `state.symptoms[0]`."""

    at: str
    because: str


class InvalidQuestion(Exception):
    """The question is refused; every flaw is named."""

    def __init__(self, *flaws: Flaw) -> None:
        super().__init__("; ".join(f"{flaw.at} {flaw.because}" for flaw in flaws))
        self.flaws = flaws


class UnknownAction(InvalidQuestion):
    """The action's type is not in the catalogue: nothing is known of its reward."""


class ArtifactRefused(Exception):
    """The artifact is not what its manifest promises; one sentence says where."""


class ModelFailed(Exception):
    """The model's numbers are not finite; the question may be in order."""
