"""Lists over HTTP: what is asked for (`limit`, `cursor`) and what is answered.
Knows neither HTTP nor tables."""

from typing import Annotated, Generic, TypeVar

from pydantic import Field

from chalicelib.kit.values import Value

T = TypeVar("T")


class PageQuery(Value):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=400)] | None = None


class Page(Value, Generic[T]):
    """Part of a list; `cursor` asks for the next part and is null on the last one.

    Annotations name `"Page[X]"` in quotes: to evaluate it makes a class, and takes milliseconds of
    every cold start.
    """

    items: list[T]
    cursor: str | None = None
