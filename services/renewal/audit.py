"""What this service writes into its audit trail."""

from collections.abc import Mapping
from enum import StrEnum


class AuditAction(StrEnum):
    """What the subject is: `image_viewed` an application's id, `person_viewed` the masked id number."""

    image_viewed = "image_viewed"
    registry_imported = "registry_imported"
    person_viewed = "person_viewed"


AUDIT_LABELS: Mapping[AuditAction, str] = {
    AuditAction.image_viewed: "查看申请图片",
    AuditAction.registry_imported: "导入人员名册",
    AuditAction.person_viewed: "查询人员信息",
}
