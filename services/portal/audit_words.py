"""The audit trails in words. What the services name, they name; this is for what their entries only hold as codes."""

from collections.abc import Callable, Iterator, Mapping

from services.portal.words import KINDS

ROLES: Mapping[str, str] = {"reviewer": "审核员", "registrar": "登记员", "admin": "管理员"}

# By service: what the trail is called, and the actions to choose from.
TRAILS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "review": (
        "审核与账号",
        {
            "log_in": "登录",
            "log_in_failed": "登录失败",
            "log_out": "退出登录",
            "password_changed": "修改密码",
            "password_change_failed": "修改密码失败",
            "id_number_revealed": "查看完整身份证号",
            "approve": "审核通过",
            "reject": "审核驳回",
            "withdraw": "撤回资质审核",
            "reviewer_added": "新增审核人员",
            "reviewer_changed": "修改审核人员",
            "password_reset": "重置密码",
        },
    ),
    "renewal": (
        "申请与人员数据",
        {
            "image_viewed": "查看申请图片",
            "letter_issued": "下载承诺书",
            "registry_imported": "导入人员名册",
            "person_viewed": "查询人员信息",
            "person_corrected": "更正人员姓名",
            "certificate_corrected": "更正证书",
            "certificate_removed": "移除证书",
            "certificate_restored": "恢复证书",
        },
    ),
    "enterprise": (
        "企业注册",
        {
            "exception_added": "登记识别号例外",
            "exception_revoked": "撤销识别号例外",
            "exception_used": "凭例外注册企业",
        },
    ),
    "certnumber": ("编号规则", {"series_created": "新增编号规则", "series_changed": "修改编号规则"}),
}
# Actions whose subject is an application, which the desk can show.
ON_APPLICATIONS = frozenset({"id_number_revealed", "approve", "reject", "withdraw", "image_viewed"})

_KINDS: Mapping[str, str] = {str(kind): label for kind, label in KINDS.items()}
_OUTCOMES = {"accepted": "已受理", "refused": "未受理"}
_CODES = {
    "wrong_credentials": "账号或密码错误",
    "account_locked": "账号已锁定",
    "login_delayed": "输错后未到可重试时间",
    "item_not_found": "未找到该申请",
    "duplicate_item": "同一申请重复出现",
    "stale_revision": "申请已有更新",
    "wrong_state": "申请的状态不允许",
    "already_decided": "他人已提交审核决定",
}
_FIELDS = {"name": "姓名", "roles": "角色", "disabled": "停用"}
# What has an old and a new value: of a rule for numbers, of a person, of a certificate.
_CHANGED = {
    "name": "名称",
    "layout": "编号格式",
    "posts": "适用岗位",
    "yearly": "按年重新编号",
    "active": "启用",
    "holder": "姓名",
    "certificate_number": "证书编号",
    "post": "岗位",
    "valid_until": "有效期至",
}


def _yes(value: object) -> str:
    return "是" if value else "否"


def _counted(value: object) -> str:
    return f"{value} 行"


def _named(value: object, names: Mapping[str, str]) -> str:
    return names.get(str(value), str(value))


def _all_named(values: object, names: Mapping[str, str]) -> str:
    return "、".join(_named(value, names) for value in values) if isinstance(values, list) else ""


# What an entry holds is its service's own affair, and no part of the API's description.
_DETAILS: Mapping[str, tuple[str, Callable[[object], str]]] = {
    "outcome": ("结果", lambda value: _named(value, _OUTCOMES)),
    "code": ("原因", lambda value: _named(value, _CODES)),
    "revision": ("版本", lambda value: "当前" if value is None else f"第 {value} 次提交"),
    "kind": ("图片", lambda value: _named(value, _KINDS)),
    "fields": ("修改了", lambda value: _all_named(value, _FIELDS)),
    "roles": ("角色", lambda value: _all_named(value, ROLES)),
    "disabled": ("停用", _yes),
    "rows": ("共", _counted),
    "created": ("新增", _counted),
    "updated": ("更新", _counted),
    "unchanged": ("未变", _counted),
    "failed": ("有问题", _counted),
    "certificate_number": ("证书编号", str),
}


def details(
    detail: Mapping[str, object], posts: Mapping[str, str], reasons: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Say what an entry holds, as (label, text); `posts` and `reasons` give names by code."""
    for name, (label, words) in _DETAILS.items():
        if name in detail:
            yield label, words(detail[name])
    if "reason_code" in detail:
        yield "审核原因", _named(detail["reason_code"], reasons)
    for name in ("post", "valid_until"):
        if name in detail:
            yield _CHANGED[name], _value(name, detail[name], posts)
    yield from _changes(detail.get("old"), detail.get("new"), posts)
    if "reason" in detail:
        yield "原因", str(detail["reason"])


def _changes(old: object, new: object, posts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if not isinstance(new, dict):
        return
    if not isinstance(old, dict):
        old = {}
    for name, label in _CHANGED.items():
        if name in new and (not old or old[name] != new[name]):
            words = _value(name, new[name], posts)
            yield label, f"{_value(name, old[name], posts)} → {words}" if old else words


def _value(name: str, value: object, posts: Mapping[str, str]) -> str:
    if name == "posts":
        return _all_named(value, posts) or "其余岗位（默认）"
    if name == "post":
        return _named(value, posts)
    if name == "valid_until" and not value:
        return "长期"
    return value if isinstance(value, str) else _yes(value)
