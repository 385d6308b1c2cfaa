"""Negotiates media types: Content-Type in, Accept out.
Reads header values only, never a body."""

from functools import lru_cache
from typing import Literal

from serving.problems import NotAcceptable, UnsupportedMedia

Format = Literal["json", "lines"]
OFFERED: dict[Format, str] = {"json": "application/json", "lines": "application/jsonlines"}
_FORMATS: dict[str, Format] = {media: format_ for format_, media in OFFERED.items()}
_UTF8 = {"utf-8", "utf8", "us-ascii"}


@lru_cache(maxsize=64)
def read_content_type(value: bytes) -> Format:
    """Return the format of a body; JSON where the header is absent or empty."""
    media, *parameters = [part.strip() for part in value.decode("latin-1").lower().split(";")]
    if not media:
        return "json"
    if media not in _FORMATS:
        offered = " or ".join(_FORMATS)
        raise UnsupportedMedia(f"Content-Type is {media[:100]!r}; send {offered}")
    for parameter in parameters:
        name, _, setting = parameter.partition("=")
        if name.strip() == "charset" and setting.strip(' "') not in _UTF8:
            raise UnsupportedMedia(f"charset is {setting[:100]!r}; send UTF-8")
    return _FORMATS[media]


@lru_cache(maxsize=64)
def choose_accepted(value: bytes, sent: Format) -> Format:
    """Return the format of the answer: the highest q first, the format sent among equals."""
    text = value.decode("latin-1").lower()
    if not text.strip():
        return sent
    weight_by_range: dict[str, float] = {}
    for media_range in text.split(","):
        media, *parameters = [part.strip() for part in media_range.split(";")]
        weight_by_range[media] = _read_q(parameters)
    best: Format | None = None
    most = 0.0
    for format_ in (sent, *(other for other in OFFERED if other != sent)):
        # The most specific range that covers a type decides on it (RFC 9110, 12.5.1).
        ranges = (OFFERED[format_], "application/*", "*/*")
        weight = next((weight_by_range[one] for one in ranges if one in weight_by_range), 0.0)
        if weight > most:
            best, most = format_, weight
    if best is None:
        raise NotAcceptable(f"Accept is {text[:100]!r}; {' and '.join(_FORMATS)} are offered")
    return best


def _read_q(parameters: list[str]) -> float:
    """Return q, 1 where it is absent or unreadable."""
    for parameter in parameters:
        name, _, setting = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(setting), 0.0), 1.0)
            except ValueError:
                return 1.0
    return 1.0
