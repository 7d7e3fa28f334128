"""The commands of the enterprise service: those that every service has."""

from services.enterprise.app import SERVICE
from shared.runtime.service import main

main(SERVICE)
