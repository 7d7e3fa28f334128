"""The one table of queues: who hears what. Everything that needs a name takes it from here."""

from shared.contracts.certnumber import ApprovalsResyncRequested, NumberAssigned, NumberingFailed, NumberVoided
from shared.contracts.enterprise import EnterpriseRegistered, EnterprisesDigest, EnterpriseUpdated
from shared.contracts.renewal import (
    ApplicationsDigest,
    ApprovalsDigest,
    EnterprisesResyncRequested,
    RenewalApprovalWithdrawn,
    RenewalApproved,
    RenewalCancelled,
    RenewalCertified,
    RenewalDecisionRefused,
    RenewalNumberingFailed,
    RenewalRejected,
    RenewalRestated,
    RenewalSnapshot,
    RenewalSubmitted,
)
from shared.contracts.review import (
    ApplicationsResyncRequested,
    ReviewApprovalWithdrawn,
    ReviewApproved,
    ReviewDecisionRepeated,
    ReviewRejected,
)
from shared.messaging.events import Event
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
# What each service finds out and mends about events that were lost.
ENTERPRISE_RESYNC = Queue("enterprise.resync", "enterprise", (EnterprisesResyncRequested,))
RENEWAL_RESYNC = Queue(
    "renewal.resync",
    "renewal",
    (EnterprisesDigest, ApplicationsResyncRequested, ApprovalsResyncRequested, ReviewDecisionRepeated),
)
REVIEW_RESYNC = Queue("review.resync", "review", (ApplicationsDigest, RenewalSnapshot))
CERTNUMBER_RESYNC = Queue("certnumber.resync", "certnumber", (ApprovalsDigest, RenewalSnapshot))

QUEUES = (
    RENEWAL_ENTERPRISES,
    RENEWAL_DECISIONS,
    RENEWAL_NUMBERS,
    REVIEW_APPLICATIONS,
    CERTNUMBER_APPROVALS,
    ENTERPRISE_RESYNC,
    RENEWAL_RESYNC,
    REVIEW_RESYNC,
    CERTNUMBER_RESYNC,
)

PRODUCERS: dict[str, tuple[type[Event], ...]] = {
    "enterprise": (*RENEWAL_ENTERPRISES.events, EnterprisesDigest),
    "renewal": (
        *REVIEW_APPLICATIONS.events,
        RenewalSnapshot,
        ApplicationsDigest,
        ApprovalsDigest,
        EnterprisesResyncRequested,
    ),
    "review": (*RENEWAL_DECISIONS.events, ReviewDecisionRepeated, ApplicationsResyncRequested),
    "certnumber": (*RENEWAL_NUMBERS.events, ApprovalsResyncRequested),
}
