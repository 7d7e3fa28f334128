"""What people here call things, and what can be done about a refusal. Templates know this module as `words`."""

from collections.abc import Mapping
from typing import Literal

# The pictures of an application, in the order in which they are shown.
Kind = Literal["id-front", "id-back", "commitment-letter"]
KINDS: Mapping[Kind, str] = {"id-front": "身份证正面", "id-back": "身份证反面", "commitment-letter": "承诺书"}
PARTS: Mapping[str, str] = {"post": "岗位", **{kind: f"{label}照片" for kind, label in KINDS.items()}}
# The files of forms, by field; others are just files.
FILES: Mapping[str, str] = {**{kind: PARTS[kind] for kind in KINDS}, "file": "表格"}
ACCEPTED: Mapping[str, str] = {**dict.fromkeys(KINDS, "image/jpeg,image/png"), "file": ".xlsx,.csv"}
# Fields that people would miss, by their names in forms.
KEPT: Mapping[str, str] = {
    "post": "岗位",
    "id_number": "身份证号",
    "name": "名称或姓名",
    "contact_name": "联系人",
    "contact_phone": "联系电话",
    "address": "地址",
    "reason_code": "原因",
    "comment": "说明",
    "layout": "编号格式",
    "roles": "角色",
}
UPLOADS: Mapping[Kind, str] = {
    "id-front": "上传身份证正面",
    "id-back": "上传身份证反面",
    "commitment-letter": "上传承诺书照片",
}
PICTURES: Mapping[Kind, str] = {
    "id-front": "有照片的一面（人像面），四角完整、文字清楚",
    "id-back": "有国徽的一面，有效期清楚可见",
    "commitment-letter": "本人已签字并加盖换证公章，整页拍全",
}

STATUSES: Mapping[str, str] = {
    "draft": "草稿",
    "pending_review": "待审核",
    "approved": "通过（编号中）",
    "certified": "通过",
    "rejected": "驳回",
    "cancelled": "已撤销",
}

# By the code of a reason against a person.
HINTS: Mapping[str, str] = {
    "three_certificates": "可在其中一本证书失效或正在办理的换证结束后再申请。"
    "如与实际持证情况不符，请联系省级管理部门核实人员信息。",
    "constructor_and_quality": "施工员与质量员只能保留一类，可申请其他岗位。"
    "如与实际持证情况不符，请联系省级管理部门核实人员信息。",
    "over_age_female": "按规定不能换证。年龄按身份证号计算，请核对身份证号是否填写正确。",
    "over_age_male": "按规定不能换证。年龄按身份证号计算，请核对身份证号是否填写正确。",
    "already_applied": "可选择其他岗位。如该申请由本企业提交，可在申请列表中查看进度；否则请向本人或省级管理部门核实。",
}

# By the code of a refused request: what to do now that the page shows the present state.
NEXT: Mapping[str, str] = {
    "stale_revision": "下面已是最新内容，请核对后重新操作。",
    "wrong_state": "下面已是最新状态。",
    "duplicate_image": "申请没有提交，已填写的内容都已保存。请在下面重新上传选错的一张。",
    "image_not_found": "请先上传身份证照片，再交换正反面。",
    "images_missing": "请在下面补齐后再提交，已填写的内容都已保存。",
    "not_eligible": "申请没有提交，已填写的内容都已保存。",
}

# By the action of an application's history.
EVENTS: Mapping[str, str] = {
    "create": "添加申请",
    "change_post": "修改岗位",
    **{f"upload_{kind}": f"上传{PARTS[kind]}" for kind in KINDS},
    "swap_images": "交换照片位置",
    # Until 0.1; since then the audit trail holds it.
    "letter_issued": "下载承诺书",
    "submit": "提交审核",
    "approve": "审核通过，等待编号",
    "reject": "审核驳回",
    "withdraw": "撤回资质审核，重新等待审核",
    "certify": "自动编号完成",
    "number_voided": "证书编号作废",
    "numbering_failed": "自动编号未成功，等待平台处理",
    "decision_refused": "审核决定未生效",
    "cancel": "撤销申请",
    "restate": "更新了平台数据中的人员或证书信息",
}
# Only these carry words of their own; other entries repeat those of the last decision.
REMARKED = frozenset({"reject", "withdraw", "decision_refused", "numbering_failed"})
ACTORS: Mapping[str, str] = {"enterprise": "本企业", "platform": "平台"}
