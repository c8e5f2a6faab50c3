"""/docs works from our own files alone, under a strict policy."""

import re


def test_the_page_loads_only_what_the_hub_serves_itself(hub):
    page = hub.http.get("/docs")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        answer = hub.http.get(f"/{link}")
        assert answer.status_code == 200, link
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script>" not in page.text


def test_no_other_file_is_served_from_the_folder(hub):
    for name in ("LICENSE", "../document.py", "..%2fdocument.py", "nothing.js", ""):
        assert hub.http.get(f"/docs/{name}").status_code == 404, name


def test_the_scripts_ask_no_other_host(hub):
    start = hub.http.get("/docs/start.js").text
    assert "validatorUrl: null" in start
    assert 'new URL("openapi.json", document.baseURI)' in start
