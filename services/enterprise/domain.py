"""Pure rules of enterprise accounts."""

from shared.values.taxpayer import InvalidTaxpayerId, identity, validate

# Set by the owner's guide (docs/rules.md, section 1): every new account starts with it and must change it first.
INITIAL_PASSWORD = "111111"  # noqa: S105 - published, and opens nothing but the change of itself


def account_identity(taxpayer_id: str) -> str | None:
    """Give the key under which a login name is looked up: old 15-digit and new 18-digit codes of one enterprise agree.

    None for what cannot be a taxpayer id, so that a login with it fails like any unknown account.
    """
    try:
        return identity(validate(taxpayer_id))
    except InvalidTaxpayerId:
        return None
