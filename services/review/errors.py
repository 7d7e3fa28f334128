"""What the review service refuses, with stable codes and Chinese sentences."""

from shared.errors import Conflict, InvalidField, NotFound


class IdNumberInvalid(InvalidField):
    code = "invalid_id_number"


class ReasonRequired(InvalidField):
    code = "reason_required"

    def __init__(self) -> None:
        super().__init__("reason_code", "驳回或撤回时必须选择原因")


class UnknownReason(InvalidField):
    code = "unknown_reason"

    def __init__(self) -> None:
        super().__init__("reason_code", "该原因不适用于此操作")


class CommentRequired(InvalidField):
    code = "comment_required"

    def __init__(self) -> None:
        super().__init__("comment", "选择“其他原因”时必须填写说明")


class IdNumberInComment(InvalidField):
    code = "id_number_in_comment"

    def __init__(self) -> None:
        super().__init__("comment", "说明中请勿填写身份证号")


class ItemNotFound(NotFound):
    code = "item_not_found"
    detail = "未找到该申请"


class ReviewerNotFound(NotFound):
    code = "reviewer_not_found"
    detail = "未找到该审核人员"


class ReviewerExists(Conflict):
    code = "reviewer_exists"
    detail = "该账号已存在"


class OwnAdminRole(Conflict):
    """There is always an administrator left: the one who acts."""

    code = "own_admin_role"
    detail = "不能停用自己的账号或取消自己的管理员角色"
