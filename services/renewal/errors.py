"""Renewal's refusals: a stable code for programs, a sentence for people."""

from shared.errors import Conflict, Invalid, InvalidField, NotFound, TooLarge, UnsupportedType


class IdNumberInvalid(InvalidField):
    code = "invalid_id_number"


class UnknownPost(InvalidField):
    code = "unknown_post"


class PersonNotFound(NotFound):
    code = "person_not_found"
    detail = "平台数据中没有该人员，请核对身份证号，或联系省级管理部门核实人员信息"


class ApplicationNotFound(NotFound):
    code = "application_not_found"
    detail = "未找到该换证申请"


class ImageNotFound(NotFound):
    code = "image_not_found"
    detail = "尚未上传该图片"


class NotEligible(Conflict):
    """Members: `reasons` as in an eligibility check."""

    code = "not_eligible"
    detail = "该人员不符合换证条件"


class ImagesMissing(Conflict):
    """Members: `kinds` still to be uploaded."""

    code = "images_missing"
    detail = "请先上传身份证正面、反面和承诺书照片"


class DuplicateImage(Conflict):
    """Members: `kind` of the image already uploaded."""

    code = "duplicate_image"
    detail = "同一张图片不能用于两个位置，请检查是否选错文件"


class StaleRevision(Conflict):
    """Members: `revision` as it is now."""

    code = "stale_revision"
    detail = "该申请已有变化，请刷新后重试"


class WrongState(Conflict):
    """Members: `application_status` as it is now."""

    code = "wrong_state"
    detail = "该申请当前的状态不允许此操作"


class ImageTooLargeProblem(TooLarge):
    code = "image_too_large"
    detail = "照片不能超过 5 MB，请压缩后重新上传"


class ImageTypeProblem(UnsupportedType):
    code = "image_type"
    detail = "只支持 JPEG 或 PNG 图片"


class ImageInvalidProblem(Invalid):
    code = "image_invalid"
    detail = "图片无法读取"


class TableInvalid(Invalid):
    """The uploaded table as a whole cannot be read; `members.table` says which of the table codes it is."""

    code = "table_invalid"
    detail = "导入文件无法读取"
