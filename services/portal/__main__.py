"""`python -m services.portal api`: serve the pages."""

import argparse

from services.portal.app import build, create_app
from services.portal.settings import PortalSettings
from shared.observability.telemetry import configure_logging
from shared.runtime.service import serve
from shared.runtime.settings import explained_settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.portal")
    parser.add_subparsers(dest="command", required=True).add_parser("api", help="serve HTTP")
    parser.parse_args()
    with explained_settings():
        settings = PortalSettings()
    configure_logging(settings.log_level)
    serve(create_app(build(settings)), settings)


main()
