from services.renewal.models import Base
from shared.audit import AuditBase
from shared.db import run_migrations
from shared.tables import PlatformBase

run_migrations([Base.metadata, PlatformBase.metadata, AuditBase.metadata])
