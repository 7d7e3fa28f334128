"""A short soak: it ends by the work done, not by a time."""

from pathlib import Path

import pytest

from tests.soak.run import new_seed, soak
from tests.support.backing import Postgres, RabbitMQ, S3Address

OPERATIONS = 400


@pytest.mark.timeout(1800)
async def test_every_promise_is_kept(postgres: Postgres, rabbitmq: RabbitMQ, s3: S3Address, tmp_path: Path) -> None:
    # Even: nothing is mended by comparing what services know.
    seed, said = 2 * new_seed(), list[str]()
    verdict = await soak(postgres, rabbitmq, s3, tmp_path, seed=seed, operations=OPERATIONS, say=said.append)
    assert verdict, "\n".join([f"make soak OPERATIONS={OPERATIONS} SEED={seed}", *said])
