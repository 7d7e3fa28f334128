"""What the enterprise service refuses, with stable codes and Chinese sentences."""

from shared.errors import Conflict, InvalidField


class TaxpayerIdInvalid(InvalidField):
    code = "invalid_taxpayer_id"


class EnterpriseExists(Conflict):
    code = "enterprise_exists"
    detail = "该纳税人识别号已注册，请直接登录或联系技术支持找回账号"
