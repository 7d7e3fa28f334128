"""What Alembic runs: this service's tables and those every service has."""

from services.enterprise.models import Base
from shared.audit.trail import AuditBase
from shared.auth.tables import AuthBase
from shared.messaging.tables import PlatformBase
from shared.persistence.db import run_migrations
from shared.web.idempotency import IdempotencyBase

run_migrations([Base.metadata, AuthBase.metadata, PlatformBase.metadata, IdempotencyBase.metadata, AuditBase.metadata])
