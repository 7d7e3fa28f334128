from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from services.portal.addresses import local_path
from services.portal.cookies import Cookies
from services.portal.forms import form_token
from services.portal.pages import day, moment, rfc3339


def request_with(cookie: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})


class TestLocalPath:
    @pytest.mark.parametrize("path", ["/", "/applications", "/review/items?status=approved&name=%E8%B5%B5"])
    def test_our_own_pages(self, path: str) -> None:
        assert local_path(path, "/home") == path

    @pytest.mark.parametrize(
        "path",
        [None, "", "applications", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "/\t/x"],
    )
    def test_nothing_else(self, path: str | None) -> None:
        assert local_path(path, "/home") == "/home"

    @given(st.text())
    def test_whatever_comes_out_is_local(self, text: str) -> None:
        path = local_path(text, "/home")
        assert path.startswith("/")
        assert not path.startswith(("//", "/\\"))
        assert path.isprintable()


class TestCookies:
    def test_the_name_says_whether_the_cookie_is_bound_to_the_host(self) -> None:
        assert Cookies(secure=True).session(request_with("__Host-sid=e.abc")) == ("enterprise", "abc")
        assert Cookies(secure=True).session(request_with("sid=e.abc")) is None
        assert Cookies(secure=False).session(request_with("sid=r.abc")) == ("review", "abc")

    @pytest.mark.parametrize("value", ["", "abc", "x.abc", "e.", ".abc", "e"])
    def test_what_is_no_session(self, value: str) -> None:
        assert Cookies(secure=False).session(request_with(f"sid={value}")) is None

    def test_forms_are_bound_to_the_session_and_before_login_to_the_visitor(self) -> None:
        cookies = Cookies(secure=False)
        assert cookies.form_secret(request_with("visitor=v; sid=e.abc")) == "abc"
        assert cookies.form_secret(request_with("visitor=v")) == "v"
        assert cookies.form_secret(request_with("other=1")) is None
        assert form_token("abc") != form_token("v")


def test_times_are_shown_as_in_jiangxi() -> None:
    assert moment(datetime(2021, 6, 23, 11, 35, 28, 123456, UTC)) == "2021-06-23 19:35:28"
    assert moment(None) == "---"
    assert day(datetime(2021, 6, 23, 16, tzinfo=UTC)) == "2021-06-24"
    assert day(date(2021, 6, 23)) == "2021-06-23"
    assert day(None, "长期") == "长期"


@pytest.mark.parametrize("text", ["2021-06-23T11:35:28.123456Z", "2021-06-23T11:35:28Z", "2021-06-23T19:35:28+08:00"])
def test_times_for_programs_are_written_as_they_came(text: str) -> None:
    assert rfc3339(datetime.fromisoformat(text)) == text
