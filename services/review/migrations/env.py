from services.review.models import Base
from shared.audit import AuditBase
from shared.auth.tables import AuthBase
from shared.db import run_migrations
from shared.tables import PlatformBase

run_migrations([Base.metadata, AuthBase.metadata, PlatformBase.metadata, AuditBase.metadata])
