"""The pages that links in mails open."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from gateway.edge.auth_pages import CONFIRM_PAGE, RESET_PAGE
from gateway.web import Answer

PAGES = pytest.mark.parametrize("page", [CONFIRM_PAGE, RESET_PAGE])


def policy(page: Answer) -> str:
    return dict(page.lines)[b"Content-Security-Policy"].decode()


@PAGES
def test_nothing_runs_on_a_page_but_its_own_script(page: Answer) -> None:
    text = page.body.decode()
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy(page)
    assert "default-src 'none'" in policy(page)
    assert "frame-ancestors 'none'" in policy(page)
    assert "unsafe" not in policy(page)
    assert not re.search(
        r"""\b(src|href|action|on\w+|style)\s*=""", re.sub(r"(?s)<script>.*?</script>", "", text)
    )


@PAGES
def test_a_page_is_kept_nowhere_and_tells_nobody_where_one_was(page: Answer) -> None:
    lines = dict(page.lines)
    assert lines[b"Cache-Control"] == b"no-store"
    assert lines[b"Referrer-Policy"] == b"no-referrer"
    assert lines[b"Content-Type"] == b"text/html; charset=utf-8"


@PAGES
def test_a_page_takes_the_token_out_of_the_address(page: Answer) -> None:
    text = page.body.decode()
    assert 'history.replaceState(null, "", location.pathname)' in text
    assert 'new URLSearchParams(location.hash.slice(1)).get("token")' in text


def test_the_members_that_are_sent_are_those_of_the_endpoints() -> None:
    assert 'name="new_password"' in RESET_PAGE.body.decode()
    assert "<input" not in CONFIRM_PAGE.body.decode()
