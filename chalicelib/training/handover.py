"""Hand work from HTTP to the function whose role may start and stop training jobs.
What is to be done stands in the tables already: a lost call only means that it is done later."""

from chalicelib.kit.handover import hand_over
from chalicelib.kit.settings import settings


def wake(model: str, job: str) -> None:
    """Have one job looked at and do not wait; the schedule covers a failure."""
    payload = {"action": "advance_job", "model_name": model, "job_name": job}
    hand_over(settings().retraining_function, payload, model=model, key=job)
