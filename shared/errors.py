"""One taxonomy of refusals, for anyone to import. `shared/web/problems.py` maps a kind to a status.

A concrete error is a subclass in a service's errors.py with a stable `code` (for programs) and a Chinese `detail`
(for people). Extension members of the problem document (RFC 9457) travel in `members`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Problem(Exception):
    """Base of every refusal; `members` are what its document says besides code and detail."""

    code: ClassVar[str] = "problem"
    detail: str = "请求未能完成"

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        if detail is not None:
            self.detail = detail
        self.members: Mapping[str, Any] = members
        super().__init__(self.code)


class Malformed(Problem):
    code = "malformed_request"
    detail = "请求无法解析"


class Invalid(Problem):
    code = "invalid_request"
    detail = "提交的内容有误，请检查后重试"


class Unauthenticated(Problem):
    code = "unauthenticated"
    detail = "请先登录"


class Forbidden(Problem):
    code = "forbidden"
    detail = "没有权限执行此操作"


class NotFound(Problem):
    code = "not_found"
    detail = "未找到"


class MethodNotAllowed(Problem):
    code = "method_not_allowed"
    detail = "不支持的请求方法"


class TimedOut(Problem):
    code = "request_timeout"
    detail = "内容没有在规定时间内传完，请检查网络后重试"


class Conflict(Problem):
    code = "conflict"
    detail = "当前状态不允许此操作"


class TooLarge(Problem):
    code = "body_too_large"
    detail = "提交的内容过大"


class UnsupportedType(Problem):
    code = "unsupported_type"
    detail = "不支持的文件类型"


class TooMany(Problem):
    """Carries `retry_after`, whole seconds, in its members."""

    code = "too_many_requests"
    detail = "操作过于频繁，请稍后再试"


class Unavailable(Problem):
    code = "unavailable"
    detail = "服务暂时不可用，请稍后再试"


class Overloaded(Unavailable):
    """Carries `retry_after`, whole seconds, and `ahead`, how many were told to wait before, in its members."""

    code = "overloaded"
    detail = "当前使用人数较多，请稍候片刻再试"


class InvalidField(Invalid):
    """One field of the request is wrong; the problem's code is the field error's own code."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail, errors=[{"field": field, "code": self.code, "message": detail}])


def together(refusals: Sequence[InvalidField]) -> Invalid:
    """Make one refusal of what is wrong with several fields; what is wrong with one stays itself."""
    if len(refusals) == 1:
        return refusals[0]
    return Invalid(errors=[error for refusal in refusals for error in refusal.members["errors"]])
