"""HTTP of receipts: what one says, if it is genuine.
Issuing is serving's part."""

from typing import Annotated

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.kit.http import Call, Role, endpoint
from chalicelib.receipts import service
from chalicelib.receipts.model import Receipt

bp = Blueprint(__name__)


@endpoint(
    bp,
    "GET /api/receipts/{request_id}",
    role=Role.VIEWER,
    summary="What a prediction's receipt says, if it is genuine",
)
def get_receipt(call: Call, request_id: Annotated[str, Field(max_length=1_000)]) -> Receipt:
    return service.verify(call.tenant, request_id)
