"""What the enterprise service refuses, with stable codes and Chinese sentences."""

from shared.errors import Conflict, InvalidField, NotFound


class TaxpayerIdInvalid(InvalidField):
    code = "invalid_taxpayer_id"


class EnterpriseExists(Conflict):
    code = "enterprise_exists"
    detail = "该纳税人识别号已注册，请直接登录或联系技术支持找回账号"


class EnterpriseNotFound(NotFound):
    code = "enterprise_not_found"
    detail = "没有以该纳税人识别号注册的企业，请核对后重新填写"


class CheckDigitRight(InvalidField):
    code = "check_digit_right"
    detail = "该纳税人识别号校验码正确，无需登记例外，企业可以直接注册"


class ExceptionExists(Conflict):
    code = "exception_exists"
    detail = "该纳税人识别号已登记例外，企业可以注册"


class ExceptionNotFound(NotFound):
    code = "exception_not_found"
    detail = "未找到该例外，可能已被撤销"
