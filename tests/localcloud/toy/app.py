"""A toy app with one of everything the real app uses, to test what runs it.
Nothing of the real app is imported."""

import os

from chalice import Chalice, Response
from chalicelib.triggers import bp

app = Chalice(app_name="toy")
app.register_blueprint(bp)


@app.route("/health")
def health() -> dict[str, int]:
    return {"pid": os.getpid()}


@app.route("/api/models/{name}/predictions", methods=["POST"], content_types=["*/*"])
def predict(name: str) -> dict[str, object]:
    request = app.current_request
    body = request.raw_body
    return {"name": name, "hex": body[:512].hex(), "size": len(body), "query": request.query_params}


@app.route("/api/blob")
def blob() -> Response:
    return Response(bytes(range(256)), headers={"Content-Type": "application/octet-stream"})


@app.route("/api/refused")
def refused() -> Response:
    problem = {"Content-Type": "application/problem+json", "Retry-After": "3"}
    return Response({"code": "busy"}, headers=problem, status_code=503)
