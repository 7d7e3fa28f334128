"""What this service writes into its audit trail."""

from collections.abc import Mapping
from enum import StrEnum


class AuditAction(StrEnum):
    """What the subject is: of `image_viewed` and `letter_issued` an application's id; of what is done to a person or a
    certificate of hers the masked id number."""

    image_viewed = "image_viewed"
    letter_issued = "letter_issued"
    registry_imported = "registry_imported"
    person_viewed = "person_viewed"
    person_corrected = "person_corrected"
    certificate_corrected = "certificate_corrected"
    certificate_removed = "certificate_removed"
    certificate_restored = "certificate_restored"


AUDIT_LABELS: Mapping[AuditAction, str] = {
    AuditAction.image_viewed: "查看申请图片",
    AuditAction.letter_issued: "下载承诺书",
    AuditAction.registry_imported: "导入人员名册",
    AuditAction.person_viewed: "查询人员信息",
    AuditAction.person_corrected: "更正人员姓名",
    AuditAction.certificate_corrected: "更正证书",
    AuditAction.certificate_removed: "移除证书",
    AuditAction.certificate_restored: "恢复证书",
}
