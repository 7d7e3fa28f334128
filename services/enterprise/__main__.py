from services.enterprise.app import SERVICE
from shared.runtime.service import main

main(SERVICE)
