"""Content types: the media type in lower case, and JSON in UTF-8 only."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kit.errors import UnsupportedMedia
from chalicelib.kit.media import media_type_of


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [
        ("application/json", "application/json"),
        ("Application/JSON", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ('application/json;CHARSET="UTF-8"', "application/json"),
        ("application/json;", "application/json"),
        ("application/json ; a=b; charset=utf-8", "application/json"),
        ("text/csv; charset=latin-1", "text/csv"),
        ("application/x-recordio-protobuf", "application/x-recordio-protobuf"),
        ('application/x-npy; note="a;b=\\"c\\""', "application/x-npy"),
    ],
)
def test_a_content_type_names_a_media_type(content_type: str, media_type: str):
    assert media_type_of(content_type) == media_type


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "json",
        "/json",
        "application/",
        "application/json, text/csv",
        "application/json charset=utf-8",
        "application/json; charset = utf-8",
        "application/json; charset=utf-8x",
        "application/json; charset=utf-16",
        'application/json; charset="utf-16"',
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; foo=charset=utf-8; charset=utf-16",
        "application/json\n",
        "text/csv\r\nX-Other: 1",
        "application/jsön",
        "a/" + "b" * 200,
    ],
)
def test_what_is_none_is_unsupported(content_type: str):
    with pytest.raises(UnsupportedMedia):
        media_type_of(content_type)


@given(st.text())
def test_any_text_has_a_media_type_or_is_unsupported(content_type: str):
    with suppress(UnsupportedMedia):
        assert media_type_of(content_type).count("/") == 1
