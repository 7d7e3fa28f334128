"""The one table of queues: who hears what. Everything that needs a name takes it from here."""

from shared.contracts.certnumber import NumberAssigned, NumberingFailed, NumberVoided
from shared.contracts.enterprise import EnterpriseRegistered, EnterpriseUpdated
from shared.contracts.renewal import (
    RenewalApprovalWithdrawn,
    RenewalApproved,
    RenewalCancelled,
    RenewalCertified,
    RenewalDecisionRefused,
    RenewalNumberingFailed,
    RenewalRejected,
    RenewalRestated,
    RenewalSubmitted,
)
from shared.contracts.review import ReviewApprovalWithdrawn, ReviewApproved, ReviewRejected
from shared.messaging.topology import Queue

RENEWAL_ENTERPRISES = Queue("renewal.enterprises", "renewal", (EnterpriseRegistered, EnterpriseUpdated))
RENEWAL_DECISIONS = Queue("renewal.decisions", "renewal", (ReviewApproved, ReviewRejected, ReviewApprovalWithdrawn))
RENEWAL_NUMBERS = Queue("renewal.numbers", "renewal", (NumberAssigned, NumberVoided, NumberingFailed))
REVIEW_APPLICATIONS = Queue(
    "review.applications",
    "review",
    (
        RenewalSubmitted,
        RenewalApproved,
        RenewalRejected,
        RenewalApprovalWithdrawn,
        RenewalCertified,
        RenewalCancelled,
        RenewalDecisionRefused,
        RenewalNumberingFailed,
        RenewalRestated,
    ),
)
CERTNUMBER_APPROVALS = Queue("certnumber.approvals", "certnumber", (RenewalApproved, RenewalApprovalWithdrawn))

QUEUES = (RENEWAL_ENTERPRISES, RENEWAL_DECISIONS, RENEWAL_NUMBERS, REVIEW_APPLICATIONS, CERTNUMBER_APPROVALS)

PRODUCERS = {
    "enterprise": (EnterpriseRegistered, EnterpriseUpdated),
    "renewal": REVIEW_APPLICATIONS.events,
    "review": RENEWAL_DECISIONS.events,
    "certnumber": RENEWAL_NUMBERS.events,
}
