"""Negotiates media types: Content-Type in, Accept out.
Reads header values only, never a body."""

from functools import lru_cache

from scoring.problems import NotAcceptable, UnsupportedMedia
from scoring.scorer import Format

FORMAT_BY_MEDIA: dict[str, Format] = {"application/json": "json", "text/csv": "csv"}
FORMATS_BY_RANGE: dict[str, tuple[Format, ...]] = {
    "*/*": ("json", "csv"),
    "application/*": ("json",),
    "text/*": ("csv",),
    "application/json": ("json",),
    "text/csv": ("csv",),
}
SAME_AS_UTF8 = {"utf-8", "utf8", "us-ascii"}


@lru_cache(maxsize=64)
def read_content_type(value: str) -> Format:
    """Return the format of a body; JSON where the header is absent or empty."""
    media, *parameters = [part.strip().lower() for part in value.split(";")]
    if not media:
        return "json"
    if media not in FORMAT_BY_MEDIA:
        raise UnsupportedMedia(f"Content-Type is {media[:99]!r}; send application/json or text/csv")
    for parameter in parameters:
        name, _, setting = parameter.partition("=")
        if name.strip() == "charset" and setting.strip(' "') not in SAME_AS_UTF8:
            raise UnsupportedMedia(f"charset is {setting[:100]!r}; send UTF-8")
    return FORMAT_BY_MEDIA[media]


@lru_cache(maxsize=64)
def choose_accepted(value: str) -> Format:
    """Return the wanted format of the answer: highest q first, JSON among equals."""
    if not value.strip():
        return "json"
    best_by_format: dict[Format, tuple[int, float]] = {}
    for media_range in value.lower().split(","):
        media, *parameters = [part.strip() for part in media_range.split(";")]
        rank = 2 - media.count("*")
        for format_ in FORMATS_BY_RANGE.get(media, ()):
            known_rank, _ = best_by_format.get(format_, (-1, 0.0))
            if rank > known_rank:  # the more specific range decides (RFC 9110, 12.5.1)
                best_by_format[format_] = (rank, _read_q(parameters))
    weights = {format_: q for format_, (_, q) in best_by_format.items() if q > 0}
    if not weights:
        raise NotAcceptable(f"Accept is {value[:100]!r}; application/json and text/csv are offered")
    return "csv" if weights.get("csv", 0.0) > weights.get("json", 0.0) else "json"


def _read_q(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, weight = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(weight)
            except ValueError:
                return 0.0
    return 1.0
