"""Hand work from HTTP to the function whose role may make and remove endpoints.
What is to be done stands in the tables already: a lost call only means that it is done later."""

from chalicelib.kit.handover import hand_over
from chalicelib.kit.settings import settings


def wake(model: str, version: str) -> None:
    """Start the manager on one version and do not wait; the reconciler covers a failure.

    The call asks for nothing new: it may come twice, or after somebody has asked for the opposite.
    """
    payload = {"action": "advance_version", "model_name": model, "version": version}
    hand_over(settings().manager_function, payload, model=model, version=version)
