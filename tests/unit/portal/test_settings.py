import pytest
from pydantic import ValidationError

from services.portal.settings import PortalSettings

GATEWAY = "http://gateway:8000"


class TestPublicUrl:
    @pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1:8000/", "http://[::1]:8000"])
    def test_plain_http_is_for_the_own_machine(self, url: str) -> None:
        assert not PortalSettings(api_url=GATEWAY, public_url=url).secure

    @pytest.mark.parametrize("url", ["http://hz.example", "http://localhost.example", "http://10.0.0.1:8000"])
    def test_plain_http_elsewhere_is_refused_outside_demo_mode(self, url: str) -> None:
        with pytest.raises(ValidationError, match="GANZHENG_PUBLIC_URL: must be https://"):
            PortalSettings(api_url=GATEWAY, public_url=url)
        assert not PortalSettings(api_url=GATEWAY, public_url=url, demo=True).secure

    def test_https_is_secure(self) -> None:
        settings = PortalSettings(api_url=GATEWAY, public_url="https://hz.example/portal?x=1")
        assert settings.secure
        assert settings.public_url == "https://hz.example"

    @pytest.mark.parametrize("url", ["", "hz.example", "ftp://hz.example", "javascript:alert(1)", "https://"])
    def test_anything_else_is_no_address(self, url: str) -> None:
        with pytest.raises(ValidationError):
            PortalSettings(api_url=GATEWAY, public_url=url, demo=True)
