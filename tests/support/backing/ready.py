"""Whether a service answers in its own protocol. OSError, or False, while it does not."""

import socket
from urllib.parse import urlsplit

import httpx2
import psycopg

from tests.support.backing.provider import RabbitMQAddress, S3Address


def accepts(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True


def postgres_answers(url: str) -> bool:
    try:
        with psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def rabbitmq_answers(address: RabbitMQAddress) -> bool:
    broker = urlsplit(address.amqp_url)
    with socket.create_connection((broker.hostname or "", broker.port or 5672), timeout=2) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        if connection.recv(1) != b"\x01":  # the frame type of Connection.Start
            return False
    return _answers(f"{address.management_url}/api/vhosts")


def s3_answers(address: S3Address) -> bool:
    return _answers(f"{address.url}/minio/health/ready")


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2, trust_env=False).is_success
    except httpx2.TransportError:
        return False
