"""The commands of the review service: the common ones, and `add-reviewer`."""

import argparse
import asyncio
import sys
from typing import Any

from services.review.app import SERVICE, build
from services.review.domain import ROLES
from services.review.errors import ReviewerExists
from services.review.schemas import ReviewerCreation
from services.review.service.reviewers import add_reviewer
from services.review.settings import ReviewSettings
from shared.auth.errors import WeakPassword
from shared.auth.passwords import check_new_password
from shared.runtime.service import main


def commands(subparsers: Any) -> dict[str, Any]:
    parser = subparsers.add_parser("add-reviewer", help="add an account of the authority; prints its initial password")
    parser.add_argument("--username", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--roles", required=True, help=f"comma-separated, any of {', '.join(ROLES)}")
    parser.add_argument("--password-stdin", action="store_true", help="read the initial password from standard input")
    return {"add-reviewer": lambda arguments: asyncio.run(_add_reviewer(arguments))}


async def _add_reviewer(arguments: argparse.Namespace) -> None:
    try:
        account = ReviewerCreation(username=arguments.username, name=arguments.name, roles=arguments.roles.split(","))
    except ValueError as error:
        raise SystemExit(f"username, name or roles are not acceptable:\n{error}") from None
    password = sys.stdin.readline().rstrip("\n") if arguments.password_stdin else None
    if password is not None:
        try:
            check_new_password(password, "", account.username)
        except WeakPassword as error:
            raise SystemExit(error.detail) from None
    container = build(ReviewSettings())
    try:
        _, initial = await add_reviewer(container, None, account, password)
    except ReviewerExists:
        raise SystemExit(f"the username {account.username} exists") from None
    finally:
        await container.close()
    if password is None:
        print(f"initial password, to be changed at the first login: {initial}")


main(SERVICE, commands)
