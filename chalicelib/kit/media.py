"""Content types as callers write them: which media type one names, and that JSON is UTF-8.
Knows no HTTP framework and no feature."""

import re

from chalicelib.kit.errors import Invalid, UnsupportedMedia

JSON = "application/json"
_LONGEST = 200
_LONGEST_ACCEPT = 1_024
# RFC 9110, sections 5.6.2, 5.6.4, 5.6.6 and 8.3.1.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({_WORD})=({_WORD}|{_QUOTED}))?")
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}")


def media_type_of(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters.

    Raises UnsupportedMedia for what is no content type, and for JSON in another charset than UTF-8.
    """
    found = _MEDIA_TYPE.match(content_type)
    if found is None or len(content_type) > _LONGEST:
        raise UnsupportedMedia(f"{content_type[:80]!r} is not a content type")
    media_type = found[0].lower()
    at = found.end()
    while at < len(content_type.rstrip(" \t")):
        parameter = _PARAMETER.match(content_type, at)
        if parameter is None:
            raise UnsupportedMedia(f"{content_type[:80]!r} is not a content type")
        name, value = parameter.groups(default="")
        if media_type == JSON and name.lower() == "charset" and value.strip('"').lower() != "utf-8":
            raise UnsupportedMedia(f"JSON is UTF-8, the content type says {value[:40]!r}")
        at = parameter.end()
    return media_type


def check_accept(accept: str) -> None:
    """Raises Invalid for what no Accept header holds; what it asks for is up to who answers."""
    if not accept.isascii() or not accept.isprintable() or len(accept) > _LONGEST_ACCEPT:
        raise Invalid(f"{accept[:80]!r} is not an Accept header")
