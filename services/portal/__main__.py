"""`python -m services.portal api`: serve the pages."""

import argparse

from services.portal.app import build, create_app
from services.portal.settings import PortalSettings
from shared.runtime import serve
from shared.settings import explained_settings
from shared.telemetry import configure_logging


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.portal")
    parser.add_subparsers(dest="command", required=True).add_parser("api", help="serve HTTP")
    parser.parse_args()
    with explained_settings():
        settings = PortalSettings()
    configure_logging(settings.log_level)
    serve(create_app(build(settings)), settings)


main()
