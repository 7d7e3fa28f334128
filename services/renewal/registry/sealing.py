"""Certificate numbers in which an id number stands: known by a blind index, kept encrypted, shown masked."""

from dataclasses import replace

from services.renewal.container import RenewalContainer
from services.renewal.domain import number_key
from services.renewal.models import CERTIFICATE_NUMBER
from services.renewal.registry import queries
from services.renewal.registry.file import RegisteredCertificate, RegistryRow
from shared.persistence.cipher import FieldCipher
from shared.values.idnumber import appears_in

BATCH = 500


def sealed(cipher: FieldCipher, certificate: RegisteredCertificate) -> RegisteredCertificate:
    """Have the certificate known by its number's blind index, if an id number stands in it."""
    if not appears_in(certificate.number):
        return certificate
    return replace(certificate, number=_index(cipher, certificate.number), private=certificate.number)


def sealed_row(cipher: FieldCipher, row: RegistryRow) -> RegistryRow:
    """Do the same in a row."""
    certificate = row.certificate and sealed(cipher, row.certificate)
    return row if certificate is row.certificate else replace(row, certificate=certificate)


def ciphertext(cipher: FieldCipher, certificate: RegisteredCertificate) -> str | None:
    """Encrypt the number, where it is not for everybody."""
    return certificate.private and cipher.encrypt(certificate.private, CERTIFICATE_NUMBER)


async def seal_stored(container: RenewalContainer) -> int:
    """Seal what was stored before numbers were, or by the version before; counts the certificates.

    Every batch is a transaction of its own. What has been sealed is not read again.
    """
    count, after = 0, None
    while True:
        async with container.database.transaction() as session:
            rows = await queries.lock_unsealed(session, after, BATCH)
            private = [row for row in rows if appears_in(row.certificate_number)]
            indexes = {row.id: _index(container.cipher, row.certificate_number) for row in private}
            # The version before and this one may have taken in one number each.
            taken = await queries.known_numbers(session, indexes.values())
            for row in private:
                row.sealed_number = container.cipher.encrypt(row.certificate_number, CERTIFICATE_NUMBER)
                index = indexes[row.id]
                row.certificate_number = f"{index}:{row.id}" if index in taken else index
            count += len(private)
        if not rows:
            return count
        after = rows[-1].id


def _index(cipher: FieldCipher, number: str) -> str:
    # All writings of such a number are one certificate.
    return cipher.blind_index(f"certificate:{number_key(number)}")
