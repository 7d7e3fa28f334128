"""Captchas: pictures that a person reads, each good for one attempt."""

import asyncio
import base64
import hmac
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa
from captcha.image import ImageCaptcha
from pydantic import BaseModel, Field

from shared.auth.errors import WrongCaptcha
from shared.auth.passwords import random_text
from shared.auth.tables import Captcha
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import Database
from shared.values.clock import Clock

LENGTH = 5
LIFETIME = timedelta(seconds=120)


class CaptchaRead(BaseModel):
    captcha_id: UUID
    image: str = Field(description="PNG as a data URL")
    expires_in: int
    answer: str | None = Field(default=None, description="only in demo mode")


@dataclass(frozen=True)
class Captchas:
    """The captchas of one issuing service."""

    database: Database
    clock: Clock
    cipher: FieldCipher

    async def draw(self, *, with_answer: bool) -> CaptchaRead:
        """Make a captcha, of whose answer only a keyed hash is stored."""
        captcha_id, answer = uuid4(), random_text(LENGTH)
        png = await asyncio.to_thread(lambda: ImageCaptcha().generate(answer).getvalue())
        now = self.clock.now()
        async with self.database.transaction() as session:
            # Rows that another request is deleting are its affair: two such deletions must not wait for each other.
            expired = sa.select(Captcha.id).where(Captcha.expires_at <= now).with_for_update(skip_locked=True)
            await session.execute(sa.delete(Captcha).where(Captcha.id.in_(expired)))
            session.add(Captcha(id=captcha_id, answer_hash=self._hash(captcha_id, answer), expires_at=now + LIFETIME))
        return CaptchaRead(
            captcha_id=captcha_id,
            image=f"data:image/png;base64,{base64.b64encode(png).decode()}",
            expires_in=int(LIFETIME.total_seconds()),
            answer=answer if with_answer else None,
        )

    async def spend(self, captcha_id: UUID, typed: str) -> None:
        """Take an answer, right or wrong, cleaned as an Identifier. Raises WrongCaptcha."""
        # Gone for good before it is compared, so that no answer can be tried twice whatever happens next.
        taken = sa.delete(Captcha).where(Captcha.id == captcha_id).returning(Captcha.answer_hash, Captcha.expires_at)
        async with self.database.transaction() as session:
            row = (await session.execute(taken)).one_or_none()
        if row is None or row.expires_at <= self.clock.now():
            raise WrongCaptcha
        if not hmac.compare_digest(self._hash(captcha_id, typed), row.answer_hash):
            raise WrongCaptcha

    def _hash(self, captcha_id: UUID, answer: str) -> str:
        # Keyed: so few answers are possible that a plain hash would give them away.
        return self.cipher.blind_index(f"captcha:{captcha_id}:{answer}")
