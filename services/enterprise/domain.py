"""Pure rules of enterprise accounts."""

from shared.values.idnumber import mask, masked
from shared.values.taxpayer import CREDIT_CODE_LENGTH, InvalidTaxpayerId, identity, shaped

# Set by the owner's guide (docs/rules.md, section 1): every new account starts with it and must change it first.
INITIAL_PASSWORD = "111111"  # noqa: S105 - published, and opens nothing but the change of itself

# Of what to do with an id that fails its check and yet is what the business licence says.
EXCEPTION_HINT = "如与营业执照完全一致，请联系省级管理部门，由管理员核对执照后登记例外，再注册"


def shown_id(taxpayer_id: str) -> str:
    """Give an id as lists and the audit trail have it: a credit code is public, the others may hold an id number."""
    return masked(taxpayer_id) if len(taxpayer_id) == CREDIT_CODE_LENGTH else mask(taxpayer_id)


def account_identity(taxpayer_id: str) -> str | None:
    """Give the key under which a login name is looked up: old 15-digit and new 18-digit codes of one enterprise agree.

    None for what cannot be a taxpayer id, so that a login with it fails like any unknown account. No more is asked of
    it: what is registered may have a wrong check character, or be older than a rule.
    """
    try:
        return identity(shaped(taxpayer_id))
    except InvalidTaxpayerId:
        return None
