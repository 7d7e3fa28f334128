"""Make pages from templates, and say times as people and as programs do."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import jinja2

from services.portal import words
from shared.values.clock import SHANGHAI

HERE = Path(__file__).parent
STATIC = HERE / "static"

# Shown once after a redirect, chosen by ?notice=; anything else is not shown, so that nobody can put words in a link.
NOTICES = {
    "logged-out": "您已安全退出",
    "logged-out-here": "您已在此浏览器退出；服务暂时不可用，登录状态最迟 30 分钟后自动失效",
    "password-changed": "密码已修改",
    "profile-saved": "企业信息已保存",
    "draft-saved": "申请已保存为草稿，请上传三张照片后提交",
    "draft-open": "该人员的这个岗位已有草稿，已为您打开，可继续填写",
    "saved": "已保存",
    "swapped": "身份证正面与反面照片已交换位置",
    "submitted": "申请已提交",
    "cancelled": "申请已撤销",
    "decided": "审核决定已提交",
    "decided-next": "审核决定已提交，已打开下一个申请",
    "decided-last": "审核决定已提交，没有下一个待处理的申请",
    "reviewer-saved": "账号已保存",
    "series-saved": "编号规则已保存",
    "exception-added": "例外已登记，该识别号可以注册",
    "exception-revoked": "例外已撤销",
    "person-corrected": "姓名已更正",
    "certificate-corrected": "证书已更正",
    "certificate-removed": "证书已移除",
    "certificate-restored": "证书已恢复",
}


def moment(value: datetime | None, empty: str = "---") -> str:
    """Write an instant as people here do: 2021-06-23 19:35:28."""
    return f"{value.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" if value else empty


def day(value: date | None, empty: str = "---") -> str:
    """Write a date, or the day of an instant, in Asia/Shanghai."""
    if isinstance(value, datetime):
        value = value.astimezone(SHANGHAI).date()
    return value.isoformat() if value else empty


def rfc3339(value: datetime) -> str:
    """Write an instant as programs do, and the API: 2021-06-23T11:35:28.123456Z."""
    return value.isoformat().replace("+00:00", "Z")


class Pages:
    """Renders templates. Whatever a template names and is not given is an error, not an empty string.

    With `reload` a changed template or static file shows at once.
    """

    def __init__(self, *, reload: bool = False) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=reload,
        )
        self._environment.filters |= {"moment": moment, "day": day, "rfc3339": rfc3339}
        self._environment.globals |= {"static": self._static, "words": words}
        self._reload = reload
        self._versions: dict[str, str] = {}

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """Render a template with these names."""
        return self._environment.get_template(template).render(context)

    def version(self, name: str) -> str:
        """Return the version of a file in static/, which changes with its content."""
        if self._reload or name not in self._versions:
            self._versions[name] = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
        return self._versions[name]

    def _static(self, name: str) -> str:
        return f"/static/{name}?v={self.version(name)}"
