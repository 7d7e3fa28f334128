"""What the public pages tell: policies, notices and news, from the data files in content/."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

CONTENT = Path(__file__).parent / "content"


@dataclass(frozen=True)
class Article:
    """`body` holds paragraphs, and lists of points between them; `slug` is the article's last part of its address."""

    slug: str
    title: str
    date: date
    body: Sequence[str | Sequence[str]]


def load(name: str) -> tuple[Article, ...]:
    """Read the articles of `content/<name>.toml`, newest first. Raises TypeError where a file names something else."""
    with (CONTENT / f"{name}.toml").open("rb") as file:
        articles = [Article(**entry) for entry in tomllib.load(file)["article"]]
    return tuple(sorted(articles, key=lambda article: article.date, reverse=True))


POLICIES = load("policies")
NOTICES = load("notices")
NEWS = load("news")
