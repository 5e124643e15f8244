"""Path templates."""

import re

import pytest

from gateway.routing import template_params
from gateway.routing.template import Template, read_template


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("/", Template(("",), (), is_open=False)),
        ("/orders", Template(("orders",), (), is_open=False)),
        ("/orders/", Template(("orders", ""), (), is_open=False)),
        ("/orders/{id}/refund", Template(("orders", None, "refund"), ("id",), is_open=False)),
        ("/{a}/{b_2}", Template((None, None), ("a", "b_2"), is_open=False)),
        ("/**", Template((), (), is_open=True)),
        ("/reports/{year}/**", Template(("reports", None), ("year",), is_open=True)),
        ("/café", Template(("café",), (), is_open=False)),
        ("/caf%C3%A9", Template(("café",), (), is_open=False)),
        ("/100%25", Template(("100%",), (), is_open=False)),
    ],
)
def test_a_template_is_taken_apart(text: str, template: Template) -> None:
    assert read_template(text) == template
    assert template_params(text) == template.params


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", 'write "/"'),
        ("orders", 'write "/orders"'),
        ("http://a/b", "begins with"),
        ("/a//b", "empty segment"),
        ("//", "empty segment"),
        ("/a//**", "empty segment"),
        ("/**/a", "the last segment"),
        ("/**/**", "the last segment"),
        ("/a*", 'write {name} for one segment, "**" at the end'),
        ("/*", 'write {name} for one segment, "**" at the end'),
        ("/a/**b", 'write {name} for one segment, "**" at the end'),
        ("/{id}.json", "a whole segment"),
        ("/{}", "a whole segment"),
        ("/{1a}", "a whole segment"),
        ("/{a-b}", "a whole segment"),
        ("/{a", "a whole segment"),
        ("/a}", "a whole segment"),
        ("/{a}/{a}", "occurs twice"),
        ("/a?b", "query"),
        ("/a#b", "#"),
        ("/a;b", ";"),
        ("/a\\b", "backslash"),
        ("/../a", "`..`"),
        ("/a/%2e", "`..`"),
        ("/%2f", "separator"),
        ("/%zz", "hexadecimal"),
        ("/%2541", "twice"),
        ("/a\n", "control"),
        ("/a" * 65, "at most 64 segments"),
    ],
)
def test_a_bad_template_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        template_params(text)
