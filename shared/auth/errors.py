"""What accounts, tokens and sessions are refused with."""

from shared.errors import Forbidden, Invalid, InvalidField, TooMany, Unauthenticated


class WrongCredentials(Unauthenticated):
    """The same answer for an unknown account and for a wrong password.

    The member `captcha_required`, if it is there and true, says that the next attempt needs a captcha.
    """

    code = "wrong_credentials"
    detail = "账号或密码错误"


class AccountLocked(TooMany):
    """For who has failed so often, or for strangers; the account's own browsers and sessions go on."""

    code = "account_locked"
    detail = "登录失败次数过多，账号已临时锁定，请稍后再试"


class LoginDelayed(TooMany):
    code = "login_delayed"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"密码连续输错，请在 {seconds} 秒后重试", retry_after=seconds)


class CaptchaRequired(InvalidField):
    code = "captcha_required"

    def __init__(self) -> None:
        super().__init__("captcha_answer", "该账号有多次登录失败，请同时输入验证码")


class WrongCaptcha(InvalidField):
    """The same answer for a wrong, an expired and a used captcha, which is spent in any case."""

    code = "wrong_captcha"

    def __init__(self) -> None:
        super().__init__("captcha_answer", "验证码不正确或已失效，请重新获取")


class InvalidToken(Unauthenticated):
    code = "invalid_token"
    detail = "登录已失效，请重新登录"


class InvalidRefreshToken(Unauthenticated):
    code = "invalid_refresh_token"
    detail = "登录已失效，请重新登录"


class InvalidSession(Unauthenticated):
    code = "invalid_session"
    detail = "登录已失效，请重新登录"


class PasswordChangeRequired(Forbidden):
    code = "password_change_required"
    detail = "请先修改初始密码"


class WeakPassword(InvalidField):
    code = "weak_password"


class WrongOldPassword(Invalid):
    code = "wrong_old_password"
    detail = "原密码不正确"
