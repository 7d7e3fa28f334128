from services.enterprise.app import SERVICE
from shared.runtime import main

main(SERVICE)
