"""Narratives: what R4's txt-1 and txt-2 and security.md X1, X7 let through."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.validation.narrative import check
from tests.validation.resources import XHTML


def div(inside: str) -> str:
    return f"<div {XHTML}>{inside}</div>"


@pytest.mark.parametrize(
    "text",
    [
        div("見本"),
        div("<p><b>見本</b> &lt;花子&gt; &amp; &nbsp;&copy;</p>"),
        div("<table class='a'><tr><td colspan='2'>1</td></tr></table>"),
        div("<a href='https://x.example'>a</a><a name='b'/>"),
        div(
            "<a href='#local'>a</a><a href='Patient/1'>b</a><a href='mailto:a@b.jp'>c</a>"
        ),
        div("<img src='data:image/png;base64,QUJD' alt='図'/>"),
        div("<p style='color: red' xml:lang='ja' lang='ja'>a</p>"),
        div("<!-- 注 --><p>a</p>"),
        div("<p/>").replace("<p/>", "<p/>末尾"),
    ],
)
def test_what_r4_allows_passes(text: str):
    assert check(text) is None


@pytest.mark.parametrize(
    "text",
    [
        div("<script>alert(1)</script>"),
        div("<p onclick='a()'>a</p>"),
        div("<form><input name='a'/></form>"),
        div("<object data='a'/>a"),
        div("<iframe src='https://x'/>a"),
        div("<style>p {}</style>a"),
        div("<a href='javascript:alert(1)'>a</a>"),
        div("<a href=' JavaScript:alert(1)'>a</a>"),
        div("<a href='java&#10;script:alert(1)'>a</a>"),
        div("<a href='vbscript:a'>a</a>"),
        div("<a href='data:text/html;base64,QUJD'>a</a>"),
        div("<img src='data:image/svg+xml;base64,QUJD'/>"),
        div("<svg xmlns='http://www.w3.org/2000/svg'/>a"),
        div("<?php a ?>a"),
        '<!DOCTYPE html SYSTEM "http://x.example/a.dtd">' + div("a"),
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + div("&b;"),
        '<!doctype a [<!ENTITY b "b">]>' + div("&b;"),
    ],
)
def test_active_content_and_declarations_are_forbidden(text: str):
    assert check(text) in {"forbidden", "malformed"}


@pytest.mark.parametrize(
    "text",
    [
        "見本",
        "<div>見本</div>",
        f"<p {XHTML}>a</p>",
        div("<p>"),
        div("&unknown;"),
        div("a") + div("b"),
        div("a\x00"),
        f"<?xml version='1.0' encoding='utf-16'?>{div('a')}",
    ],
)
def test_anything_but_one_xhtml_div_is_malformed(text: str):
    assert check(text) == "malformed"


@pytest.mark.parametrize(
    "text", [div(""), div(" \n "), div("<p> </p><br/>"), div("<!-- a -->")]
)
def test_a_narrative_without_content_is_empty(text: str):
    assert check(text) == "empty"


def test_entities_are_not_expanded():
    bomb = "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
        f"<!ENTITY a{n} '{'&a;' * 10}'>" for n in range(9)
    )
    assert check(f"{bomb}]>{div('&a8;')}") == "forbidden"


def test_AB26_many_attributes_cost_no_more_than_their_length():
    many = " ".join(f"a{n}=''" for n in range(60_000))
    begun = time.process_time()
    assert check(div(f"<b {many}>a</b>")) == "forbidden"
    assert time.process_time() - begun < 3


@pytest.mark.parametrize(("depth", "finding"), [(63, None), (64, "forbidden")])
def test_X4_a_narrative_is_64_deep_at_most(depth: int, finding: str | None):
    assert check(div("<b>" * depth + "a" + "</b>" * depth)) == finding


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_no_text_makes_it_raise(text: str):
    assert check(text) in {"malformed", "forbidden", "empty", None}
    check(div(text))
