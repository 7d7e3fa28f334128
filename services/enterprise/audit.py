"""What this service writes into its audit trail."""

from collections.abc import Mapping
from enum import StrEnum


class AuditAction(StrEnum):
    """The subject is the taxpayer id, masked where an id number may be in it."""

    exception_added = "exception_added"
    exception_revoked = "exception_revoked"
    exception_used = "exception_used"


AUDIT_LABELS: Mapping[AuditAction, str] = {
    AuditAction.exception_added: "登记识别号例外",
    AuditAction.exception_revoked: "撤销识别号例外",
    AuditAction.exception_used: "凭例外注册企业",
}
