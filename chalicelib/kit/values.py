"""The base of every type that crosses a door or lies in a table.
No fields and no rules; those are the features'."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Frozen, and refuses members it does not know; its validator is made on first use, because
    a cold start pays for every one that is made at import."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Told(Value):
    """Part of what others say: members that they add are ignored."""

    model_config = ConfigDict(extra="ignore")
