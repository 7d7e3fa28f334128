"""Makes of rows what clients see; answers are built nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from services.certnumber.domain import NOT_YEARLY, Layout, NumberState, is_gapless
from services.certnumber.models import Approval, Series, SeriesCount
from services.certnumber.schemas import (
    CertificateRead,
    ClashRead,
    CounterRead,
    Proof,
    RefusalRead,
    SeriesPreview,
    SeriesProof,
    SeriesRead,
    UnnumberedApproval,
)
from services.certnumber.service.certificates import Certificate
from services.certnumber.service.proof import Evidence
from services.certnumber.service.series import CountedSeries, Preview
from shared.values.clock import business_day
from shared.values.idnumber import masked

# Of a series that serves all posts the example shows this one.
EXAMPLE_POST = "10"
PREVIEWED = 3


def certificate(found: Certificate) -> CertificateRead:
    entry, successor = found.entry, found.successor
    voided_on = business_day(entry.voided_at) if entry.voided_at else None
    return CertificateRead(
        number=entry.number,
        status=NumberState.void if successor else NumberState(entry.state),
        post=entry.post_name,
        holder=entry.holder_masked,
        enterprise=masked(entry.enterprise_name),
        issued_on=entry.issued_on,
        voided_on=voided_on or (successor.issued_on if successor else None),
        replaces=entry.replaces and masked(entry.replaces),
        replaced_by=successor.number if successor else None,
    )


def series(counted: CountedSeries, now: datetime) -> SeriesRead:
    """`now` decides the year of the example."""
    row, layout = counted.series, Layout(counted.series.layout)
    post, year, serial = _next(row, counted.last, now)
    clash = counted.clash
    return SeriesRead(
        id=row.id,
        name=row.name,
        layout=row.layout,
        posts=row.posts,
        yearly=row.yearly,
        active=row.active,
        counters=[CounterRead(period=period, last=last) for period, last in counted.last.items()],
        capacity=layout.capacity,
        example=layout.render(post, year, min(serial, layout.capacity)),
        clash=ClashRead(number=clash.number, series_id=clash.other.id, series=clash.other.name) if clash else None,
        failed=counted.failed,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def preview(found: Preview, now: datetime) -> SeriesPreview:
    """`now` decides the year of the numbers."""
    layout, refusal = Layout(found.series.layout), found.refusal
    post, year, serial = _next(found.series, found.last, now)
    serials = range(serial, min(serial + PREVIEWED, layout.capacity + 1))
    return SeriesPreview(
        post=post,
        numbers=[layout.render(post, year, each) for each in serials],
        capacity=layout.capacity,
        refusal=RefusalRead(code=refusal.code, detail=refusal.detail, field=refusal.field) if refusal else None,
    )


def _next(row: Series, last: Mapping[int, int], now: datetime) -> tuple[str, int, int]:
    """Give post, year and serial of a number that may come next."""
    year = business_day(now).year
    return (row.posts or [EXAMPLE_POST])[0], year, last.get(year if row.yearly else NOT_YEARLY, 0) + 1


def proof(evidence: Evidence) -> Proof:
    proofs = [
        _series_proof(count, evidence.missing.get((count.series_id, count.period), ())) for count in evidence.series
    ]
    return Proof(
        gapless=all(proof.gapless for proof in proofs),
        series=proofs,
        waiting=evidence.waiting,
        failed=evidence.failed,
        oldest_waiting=_unnumbered(evidence.oldest),
        oldest_waiting_seconds=_age(evidence.oldest, evidence.at),
    )


def _series_proof(count: SeriesCount, missing: Sequence[int]) -> SeriesProof:
    return SeriesProof(
        **asdict(count),
        gap_examples=list(missing),
        gapless=is_gapless(count.gaps, count.duplicates, count.highest, count.counter),
    )


def _unnumbered(approval: Approval | None) -> UnnumberedApproval | None:
    return UnnumberedApproval.model_validate(approval, from_attributes=True) if approval else None


def _age(approval: Approval | None, now: datetime) -> int | None:
    if approval is None or approval.approved_at is None:
        return None
    return max(0, int((now - approval.approved_at).total_seconds()))
