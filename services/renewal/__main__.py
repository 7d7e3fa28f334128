from services.renewal.app import SERVICE
from shared.runtime import main

main(SERVICE)
