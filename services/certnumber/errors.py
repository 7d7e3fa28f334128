"""What the certnumber service refuses, with stable codes and Chinese sentences."""

from typing import Any

from shared.errors import Conflict, InvalidField, NotFound


class LayoutInvalid(InvalidField):
    code = "invalid_layout"


class SeriesConflict(Conflict):
    """Carries `posts`, the codes both series name (empty: both are the default)."""

    code = "series_conflict"
    field = "posts"
    detail = "同一岗位只能有一条启用的编号规则，默认规则也只能有一条"


class SeriesClash(Conflict):
    """Carries `number`, and `series_id` and `series` of the other active series that would print it as well, if one
    would: else the number has been given already, or is that of a certificate in the registry."""

    code = "series_clash"
    detail = "按此编号格式会生成别处已用或将用的编号"

    def __init__(self, field: str, detail: str, **members: Any) -> None:
        self.field = field
        super().__init__(detail, errors=[{"field": field, "code": self.code, "message": detail}], **members)


class SeriesInUse(Conflict):
    code = "series_in_use"
    detail = "该编号规则已产生编号，不能再改变是否按年重新编号"


class SeriesNotFound(NotFound):
    code = "series_not_found"
    detail = "编号规则不存在"


class CertificateNotFound(NotFound):
    code = "certificate_not_found"
    detail = "没有此编号的证书。请按证书完整输入编号，包括开头的 0，并逐位核对"
