"""What accounts, tokens and sessions are refused with."""

from shared.errors import Forbidden, Invalid, InvalidField, TooMany, Unauthenticated


class WrongCredentials(Unauthenticated):
    """The same answer for an unknown account and for a wrong password."""

    code = "wrong_credentials"
    detail = "账号或密码错误"


class AccountLocked(TooMany):
    code = "account_locked"
    detail = "登录失败次数过多，账号已临时锁定，请稍后再试"


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
