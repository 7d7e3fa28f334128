"""Services somebody else runs, by URLs in the environment."""

import os

from tests.support.backing.provider import RabbitMQAddress, S3Address, Unusable

VARIABLES = (
    "TEST_POSTGRES_URL",
    "TEST_AMQP_URL",
    "TEST_RABBITMQ_MANAGEMENT_URL",
    "TEST_S3_ENDPOINT",
    "TEST_S3_ACCESS_KEY",
    "TEST_S3_SECRET_KEY",
)
"""
TEST_POSTGRES_URL             postgresql+psycopg://superuser:password@host:port/postgres
TEST_AMQP_URL                 amqp://user:password@host:port/
TEST_RABBITMQ_MANAGEMENT_URL  http://user:password@host:port (an administrator)
TEST_S3_ENDPOINT              http://host:port
"""


class EnvironmentBacking:
    """Used when any of VARIABLES is set; asking for a service whose variables are missing is then an error."""

    disposable = False
    small_disks = False

    def __init__(self) -> None:
        if not any(os.environ.get(name) for name in VARIABLES):
            raise Unusable(f"none of {', '.join(VARIABLES)} is set")

    def start_postgres(self) -> str:
        return _get("TEST_POSTGRES_URL").replace("postgresql://", "postgresql+psycopg://", 1)

    def start_rabbitmq(self) -> RabbitMQAddress:
        return RabbitMQAddress(_get("TEST_AMQP_URL"), _get("TEST_RABBITMQ_MANAGEMENT_URL").rstrip("/"))

    def stop_rabbitmq(self) -> None:
        raise Unusable("the broker of TEST_AMQP_URL is not ours: run this test with BACKING=docker or local")

    @property
    def tablespace(self) -> None:
        return None

    def fill_postgres(self) -> None:
        raise Unusable("the server has no small disk: run this test with BACKING=local, as root")

    def empty_postgres(self) -> None:
        pass

    def kill_postgres(self) -> None:
        raise Unusable("the server of TEST_POSTGRES_URL is not ours: run this test with BACKING=docker or local")

    def revive_postgres(self) -> None:
        pass

    def control_rabbitmq(self, *_: str) -> None:
        self.stop_rabbitmq()

    def fill_rabbitmq(self) -> None:
        self.stop_rabbitmq()

    def empty_rabbitmq(self) -> None:
        pass

    def kill_rabbitmq(self) -> None:
        self.stop_rabbitmq()

    def freeze_rabbitmq(self) -> None:
        self.stop_rabbitmq()

    def thaw_rabbitmq(self) -> None:
        self.stop_rabbitmq()

    def start_s3(self) -> S3Address:
        return S3Address(_get("TEST_S3_ENDPOINT").rstrip("/"), _get("TEST_S3_ACCESS_KEY"), _get("TEST_S3_SECRET_KEY"))

    def close(self) -> None:
        pass


def _get(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Unusable(f"{name} is not set, though others of {', '.join(VARIABLES)} are")
    return value
