"""The audit trail of the desk: what is recorded there, and under which words administrators read it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.audit import trail
from shared.runtime.container import Container


class AuditAction(StrEnum):
    log_in = "log_in"
    log_in_failed = "log_in_failed"
    log_out = "log_out"
    password_changed = "password_changed"  # noqa: S105 - a name, not a password
    password_change_failed = "password_change_failed"  # noqa: S105
    id_number_revealed = "id_number_revealed"
    approve = "approve"
    reject = "reject"
    withdraw = "withdraw"
    reviewer_added = "reviewer_added"
    reviewer_changed = "reviewer_changed"
    password_reset = "password_reset"  # noqa: S105


AUDIT_LABELS: Mapping[AuditAction, str] = {
    AuditAction.log_in: "登录",
    AuditAction.log_in_failed: "登录失败",
    AuditAction.log_out: "退出登录",
    AuditAction.password_changed: "修改密码",
    AuditAction.password_change_failed: "修改密码失败",
    AuditAction.id_number_revealed: "查看完整身份证号",
    AuditAction.approve: "审核通过",
    AuditAction.reject: "审核驳回",
    AuditAction.withdraw: "撤回资质审核",
    AuditAction.reviewer_added: "新增审核人员",
    AuditAction.reviewer_changed: "修改审核人员",
    AuditAction.password_reset: "重置密码",
}


def record(
    container: Container,
    session: AsyncSession,
    actor: trail.Actor | None,
    action: AuditAction,
    subject: UUID | str | None,
    **detail: Any,
) -> None:
    """Add an entry in the transaction of what it records; see shared.audit.trail.add.

    `subject` is an application's id or a username.
    """
    trail.add(session, container.clock.now(), actor, action, subject, detail)
