"""Where people of each kind log in and begin, and which addresses a link of ours may lead to."""

HOMES = {"enterprise": "/applications", "review": "/review"}
LOGINS = {"enterprise": "/enterprise/login", "review": "/review/login"}


def local_path(path: str | None, otherwise: str) -> str:
    """`path` if it leads to a page of ours, so that a link to our login cannot send people elsewhere."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and len(path) < 2000:
        return path
    return otherwise
