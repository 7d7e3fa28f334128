"""A browser without script: keeps cookies, follows redirects, fills in and sends the forms it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx2

Fields = list[tuple[str, str]]


@dataclass
class Form:
    """`fields` as a browser would send them untouched; `buttons` are the named submit buttons."""

    action: str
    method: str
    fields: Fields = field(default_factory=list)
    buttons: Fields = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.text: list[str] = []
        self._form: Form | None = None
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []
        self._textarea: str | None = None
        self._written = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").upper())
            self.forms.append(self._form)
        elif self._form is None or "disabled" in given:
            return
        elif tag == "input":
            self._input(self._form, given)
        elif tag == "button" and given.get("name"):
            self._form.buttons.append((given["name"], given.get("value", "")))
        elif tag == "select":
            self._select, self._options = given.get("name"), []
        elif tag == "option" and self._select:
            self._options.append((given.get("value", ""), "selected" in given))
        elif tag == "textarea":
            self._textarea, self._written = given.get("name"), ""

    def _input(self, form: Form, given: dict[str, str]) -> None:
        kind, name = given.get("type", "text"), given.get("name", "")
        if kind == "file":
            form.files.append(name)
        elif name and kind == "submit":
            form.buttons.append((name, given.get("value", "")))
        elif name and (kind not in {"checkbox", "radio"} or "checked" in given):
            form.fields.append((name, given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select" and self._form and self._select:
            chosen = [value for value, selected in self._options if selected] or [
                value for value, _ in self._options[:1]
            ]
            self._form.fields += [(self._select, value) for value in chosen]
            self._select = None
        elif tag == "textarea" and self._form and self._textarea:
            self._form.fields.append((self._textarea, self._written.removeprefix("\n")))
            self._textarea = None

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._written += data
        self.text.append(data)


@dataclass
class Page:
    """What the browser shows after following redirects."""

    response: httpx2.Response
    forms: list[Form]
    text: str

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def html(self) -> str:
        return self.response.text

    @property
    def path(self) -> str:
        return self.response.url.path

    def form(self, action: str) -> Form:
        """The one form that is sent to `action`."""
        (form,) = [form for form in self.forms if form.action.split("?")[0] == action]
        return form


class Browser:
    """`client` reaches the platform; its cookies are the browser's."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, **options: Any) -> Page:
        return _page(await self.client.get(path, follow_redirects=True, **options))

    async def send(
        self,
        page: Page,
        action: str,
        press: tuple[str, str] | None = None,
        files: dict[str, tuple[str, bytes, str]] | None = None,
        add: Sequence[tuple[str, str]] = (),
        headers: dict[str, str] | None = None,
        **values: str,
    ) -> Page:
        """Fill in the form that goes to `action` and send it: `values` replace fields of these names, `add` are ticked
        boxes, `press` the named button, `files` by field."""
        form = page.form(action)
        fields = [(name, value) for name, value in form.fields if name not in values]
        fields += [*values.items(), *add, *([press] if press else [])]
        if form.method == "GET":
            return await self.get(form.action, params=fields, headers=headers)
        return await self.post(form.action, fields, files, headers)

    async def post(
        self,
        path: str,
        fields: Fields,
        files: dict[str, tuple[str, bytes, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Page:
        parts: list[tuple[str, Any]] = [(name, (None, value.encode())) for name, value in fields]
        parts += list((files or {}).items())
        own = {"Sec-Fetch-Site": "same-origin", **(headers or {})}
        return _page(await self.client.post(path, files=parts, headers=own, follow_redirects=True))


def _page(response: httpx2.Response) -> Page:
    reader = _Reader()
    if "html" in response.headers.get("content-type", ""):
        reader.feed(response.text)
    return Page(response, reader.forms, " ".join(" ".join(reader.text).split()))
