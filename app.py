"""Composition root: the Chalice app, its one middleware, and the blueprints of all features.
No rule lives here; Lambda imports this module only for HTTP."""

from chalice.app import Chalice

from chalicelib.about import routes as about
from chalicelib.deployments import routes as deployments
from chalicelib.deployments import triggers as deployment_triggers
from chalicelib.experiments import routes as experiments
from chalicelib.experiments import triggers as experiment_triggers
from chalicelib.kit import http
from chalicelib.ledger import routes as ledger
from chalicelib.receipts import routes as receipts
from chalicelib.registry import routes as registry
from chalicelib.rewards import routes as rewards
from chalicelib.rewards import triggers as reward_triggers
from chalicelib.serving import routes as serving
from chalicelib.serving import triggers as serving_triggers
from chalicelib.training import routes as training
from chalicelib.training import triggers as training_triggers

app = Chalice(app_name="sommelier")
app.api.binary_types = ["*/*"]  # every body travels as bytes, whatever its content type
app.register_middleware(http.accept_anything, event_type="http")

features = (registry, deployments, experiments, serving, training, rewards, receipts, ledger, about)
triggers = (
    deployment_triggers,
    experiment_triggers,
    serving_triggers,
    training_triggers,
    reward_triggers,
)
for part in (*features, *triggers):
    app.register_blueprint(part.bp)
