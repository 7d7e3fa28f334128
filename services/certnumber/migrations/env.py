from services.certnumber.models import Base
from shared.audit.trail import AuditBase
from shared.messaging.tables import PlatformBase
from shared.persistence.db import run_migrations

run_migrations([Base.metadata, PlatformBase.metadata, AuditBase.metadata])
