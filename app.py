"""Composition root: the Chalice app, its one middleware, and the blueprints of all features.
No rule lives here; Lambda imports this module only for HTTP."""

from chalice.app import Chalice

from chalicelib.about import routes as about
from chalicelib.deployments import routes as deployments
from chalicelib.deployments import triggers as deployment_triggers
from chalicelib.kit import http
from chalicelib.ledger import routes as ledger
from chalicelib.receipts import routes as receipts
from chalicelib.registry import routes as registry
from chalicelib.serving import routes as serving

app = Chalice(app_name="sommelier")
app.api.binary_types = ["*/*"]  # every body travels as bytes, whatever its content type
app.register_middleware(http.accept_anything, event_type="http")

for feature in (registry, deployments, serving, receipts, ledger, about, deployment_triggers):
    app.register_blueprint(feature.bp)
