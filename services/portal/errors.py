"""Refusals of the portal's own; those of the API pass through as ApiProblem."""

from shared.errors import Forbidden, Problem, TooLarge


class LoginRequired(Problem):
    """Nobody is logged in, or the session has ended. `issuer` says where to log in."""

    code = "login_required"
    detail = "登录已过期，请重新登录"

    def __init__(self, issuer: str) -> None:
        super().__init__()
        self.issuer = issuer


class PasswordChangeRequired(Problem):
    """Somebody is logged in with the initial password, which opens nothing but the form for a new one."""

    code = "password_change_required"
    detail = "请先修改初始密码"


class ForeignForm(Forbidden):
    """A form that this browser was not given."""

    code = "foreign_form"
    detail = "页面已失效，请返回上一页刷新后重新提交"


class FilesMissing(Problem):
    """A form that is sent again after a login lacks files that it had before."""

    code = "files_missing"
    detail = "还有文件没有重新选择，请选择后继续提交"


class PictureTooLarge(TooLarge):
    """One picture, sent by itself."""

    code = "image_too_large"
    detail = "照片不能超过 5 MB，请压缩后重新上传"


class PicturesTooLarge(TooLarge):
    """An application's page with all its pictures; which one it is, nobody has read."""

    code = "images_too_large"
    detail = "照片没有上传：每张不能超过 5 MB。请返回申请页面，压缩后重新选择"


class TableTooLarge(TooLarge):
    """A table to import."""

    code = "table_too_large"
    detail = "表格不能超过 20 MB，请分成几个文件导入"


class WrongRole(Forbidden):
    """Somebody is logged in who may not see this page."""

    code = "wrong_role"
    detail = "您的账号没有使用此功能的权限"
