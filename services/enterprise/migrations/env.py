from services.enterprise.models import Base
from shared.auth.tables import AuthBase
from shared.db import run_migrations
from shared.tables import PlatformBase

run_migrations([Base.metadata, AuthBase.metadata, PlatformBase.metadata])
