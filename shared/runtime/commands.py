"""Commands that both ways to run have. Light to import: the embedded run reads its command line before all else."""

from typing import Any
from uuid import UUID


def add_dead_letters(subparsers: Any) -> None:
    """Add the command `dead-letters`, for `shared.runtime.service.manage_dead_letters` to carry out."""
    parser = subparsers.add_parser("dead-letters", help="list or replay what no handler could process")
    parser.add_argument("action", choices=["list", "replay"])
    parser.add_argument("--event", type=UUID, help="replay only this event id (default: all)")
