"""Renewal's refusals: a stable code for programs, a sentence for people."""

from shared.errors import Conflict, Invalid, InvalidField, NotFound, TooLarge, TooMany, UnsupportedType


class IdNumberInvalid(InvalidField):
    code = "invalid_id_number"


class UnknownPost(InvalidField):
    code = "unknown_post"


class TooManyPeople(TooMany):
    """Nobody may find out by trying who is in the platform's data; a clerk enters hundreds a day at most."""

    code = "too_many_people"
    detail = "24 小时内查询的人员过多，请稍后再试；确有需要的，请联系技术支持单位"


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
    """Members: `kinds` that share one picture."""

    code = "duplicate_image"
    detail = "同一张图片不能用于两个位置，请更换选错的照片后再提交"


class StaleRevision(Conflict):
    """Members: `revision` as it is now."""

    code = "stale_revision"
    detail = "该申请已有变化，请刷新后重试"


class WrongState(Conflict):
    """Members: `application_status` as it is now."""

    code = "wrong_state"
    detail = "该申请当前的状态不允许此操作"


class CertificateNotFound(NotFound):
    code = "certificate_not_found"
    detail = "未找到该证书"


class PlatformCertificate(Conflict):
    """A certificate that the platform gave is not the registry's to change."""

    code = "platform_certificate"
    detail = "本平台编号的证书不能在此更正或移除；如需作废，请由审核人员撤回资质审核"


class CertificateVoid(Conflict):
    """A certificate that was removed, or a number that was put right, is no more to be changed."""

    code = "certificate_void"
    detail = "该证书已移除或已更正，不能再作此操作"


class CertificateNotRemoved(Conflict):
    code = "certificate_not_removed"
    detail = "该证书没有被移除，无需恢复"


class CertificateTaken(Conflict):
    code = "certificate_taken"
    detail = "该证书编号已登记在其他人员名下，请核对"


class RegistryChanged(Conflict):
    """Somebody else has changed the certificate or person that the client saw."""

    code = "registry_changed"
    detail = "该信息已被他人更改，请刷新后核对再操作"


class BeingNumbered(Conflict):
    """The number about to be given would tell of what is being changed."""

    code = "being_numbered"
    detail = "该人员有换证申请已审核通过、正在编号，请待编号完成后再操作"


class NothingToCorrect(Invalid):
    code = "nothing_to_correct"
    detail = "内容与登记的相同，没有需要更正的"


class RegistryValueInvalid(Invalid):
    """Some fields cannot be what a row of an import cannot be either; their codes are those of an import's rows."""

    code = "registry_value_invalid"
    detail = "填写的内容有误，请检查后重试"


class ImageTooLargeProblem(TooLarge):
    code = "image_too_large"
    detail = "照片不能超过 5 MB，请压缩后重新上传"


class ImageTypeProblem(UnsupportedType):
    """Members: `format`, what the file is by its content, such as `heic` or `pdf`."""

    code = "image_type"
    detail = "只支持 JPG 或 PNG 格式的图片"


class ImageInvalidProblem(Invalid):
    code = "image_invalid"
    detail = "图片无法读取"


class TableInvalid(Invalid):
    """The uploaded table as a whole cannot be read; `members.table` says which of the table codes it is."""

    code = "table_invalid"
    detail = "导入文件无法读取"
