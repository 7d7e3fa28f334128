"""Change a list of keys in the secrets: `make rotate KEYS=data_keys STEP=add|promote|drop`.

Copies of a process are restarted one after the other, so a key must be known to all before any uses it, and unused by
all before any forgets it. Hence three steps with restarts between them, see docs/operations.md.
"""

import argparse
import sys
from pathlib import Path

from deploy.compose.make_secrets import DIRECTORY, ISSUERS, SecretFiles
from shared.runtime.settings import new_key

LISTS = ("data_keys", *(f"{issuer}_signing_keys" for issuer in ISSUERS))


def add(keys: list[str]) -> list[str]:
    """Append a new key, known and not used yet. Raises ValueError, as the others do, unless it is this step's turn."""
    if len(keys) != 1:
        raise ValueError("a rotation is under way; promote or drop first")
    return [*keys, f"{keys[0][0]}{_number(keys[0]) + 1}:{new_key()}"]


def promote(keys: list[str]) -> list[str]:
    """Put the new key first, which is the one that is used; the old one is still known."""
    if len(keys) != 2 or _number(keys[0]) > _number(keys[1]):
        raise ValueError("there is no new key that is not used yet; add one first")
    return keys[::-1]


def drop(keys: list[str]) -> list[str]:
    """Forget the old key."""
    if len(keys) != 2 or _number(keys[0]) < _number(keys[1]):
        raise ValueError("there is no key that is no longer used; promote the new one first")
    return keys[:1]


def _number(key: str) -> int:
    return int(key.partition(":")[0][1:])


STEPS = {"add": add, "promote": promote, "drop": drop}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.compose.rotate")
    parser.add_argument("keys", choices=LISTS)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    arguments = parser.parse_args()
    file = arguments.directory / arguments.keys
    try:
        keys = STEPS[arguments.step](file.read_text().split(","))
    except (ValueError, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    SecretFiles(arguments.directory).write(arguments.keys, ",".join(keys))
    print(f"{file}: {', '.join(key.partition(':')[0] for key in keys)}; the first is used")
    return 0


if __name__ == "__main__":
    sys.exit(main())
