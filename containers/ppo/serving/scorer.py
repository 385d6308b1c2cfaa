"""A loaded model behind bytes: a request body in, an answer's body out.
No HTTP; everything that is not an answer is a Problem."""

from pathlib import Path

import msgspec
from reward import artifact
from reward.predictor import Answer, Predictor
from reward.problems import ArtifactRefused, InvalidQuestion, ModelFailed, UnknownAction
from reward.questions import Question
from serving.logs import log
from serving.media import Format
from serving.problems import ActionUnknown, Failed, Problem, QuestionRefused, TooLarge
from serving.reading import Reader

MOST_ROWS = 300_000
"""Actions that one request may have judged: a catalogue's for each state that 6 MB of lines hold,
which is 100 MB of answers."""
AT_ONCE = 500
"""Questions that are answered and encoded together."""
_encode = msgspec.json.Encoder().encode


class Scorer:
    """Made once, at load; may be used by several threads."""

    def __init__(self, predictor: Predictor, sample: bytes) -> None:
        self.predictor = predictor
        self._reader = Reader(predictor.catalogue)
        self._sample = sample
        self._proof = self.score(sample, read="json", write="json")

    def proves(self) -> bool:
        """Whether the sample is still answered as it was at load."""
        return self.score(self._sample, read="json", write="json") == self._proof

    def score(self, body: bytes, *, read: Format, write: Format) -> bytes:
        """Raises Problem."""
        try:
            questions, places = self._reader.read(body, read)
            if places is not None:
                return self._score_all(questions, places, write)
            answer = _encode(self.predictor.answer_one(questions[0]))
        except UnknownAction as error:
            raise ActionUnknown(str(error), error.flaws) from error
        except InvalidQuestion as error:
            raise QuestionRefused(str(error), error.flaws) from error
        except Problem:
            raise
        except ModelFailed as error:
            log("ERROR", "model_failed", reason=str(error))
            raise Failed(str(error)) from error
        except Exception as error:  # the last line of defence: log the fault, keep serving
            log("ERROR", "scoring_failed", reason=repr(error)[:400])
            raise Failed(repr(error)) from error
        return answer + b"\n" if write == "lines" else answer

    def _score_all(self, questions: list[Question], places: list[str], write: Format) -> bytes:
        rows = sum(self._rows(question) for question in questions)
        if rows > MOST_ROWS:
            raise TooLarge(f"{rows} actions are asked about; at most {MOST_ROWS} are answered")
        found: list[bytes] = []
        for start in range(0, len(questions), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            answers = self.predictor.answer(questions[some], places=places[some])
            found.append(_joined(answers, write))
        if write == "lines":
            return b"".join(found)
        return b'{"predictions":[' + b",".join(found) + b"]}"

    def _rows(self, question: Question) -> int:
        catalogue = self.predictor.catalogue
        return len(catalogue.actions if question.actions is None else question.actions)


def load_scorer(folder: Path, *, pinned_sha256: str | None) -> Scorer:
    """Raises ArtifactRefused."""
    model = artifact.load(folder, pinned_sha256=pinned_sha256)
    try:
        return Scorer(Predictor(model), (folder / artifact.SAMPLE).read_bytes())
    except Problem as problem:
        raise ArtifactRefused(f"{artifact.SAMPLE} is not answered: {problem.detail}") from problem


def _joined(answers: list[Answer], write: Format) -> bytes:
    if write == "lines":
        return b"".join(_encode(answer) + b"\n" for answer in answers)
    return b",".join(_encode(answer) for answer in answers)
