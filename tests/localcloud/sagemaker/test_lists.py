"""Pages while the list changes between them.
Nothing here knows a resource."""

import pytest

from localcloud.sagemaker.lists import select_page
from localcloud.sagemaker.wire import ValidationException


def page_of(items, **asked):
    return select_page(items, {"SortOrder": "Ascending", **asked}, key=lambda item: (item,))


def test_an_item_deleted_between_two_pages_hides_no_other():
    first, token = page_of(["a", "b", "c", "d"], MaxResults=2)

    second, _ = page_of(["a", "c", "d"], MaxResults=2, NextToken=token)

    assert first + second == ["a", "b", "c", "d"]


def test_the_last_page_has_no_token():
    assert page_of(["a", "b"], MaxResults=2) == (["a", "b"], None)


def test_ten_items_are_a_page_unless_told_otherwise():
    page, token = page_of([f"{number:02}" for number in range(11)])

    assert len(page) == 10
    assert token is not None


@pytest.mark.parametrize("token", ["nonsense", "bnVsbA=="])
def test_a_token_of_somebody_else_is_refused(token):
    with pytest.raises(ValidationException, match="NextToken"):
        page_of(["a"], NextToken=token)
