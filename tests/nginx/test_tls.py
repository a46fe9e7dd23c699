"""TLS is ready to be switched on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.settings import Settings
from tests.front import render, start_nginx
from tests.nginx.fronts import Front, header_lines, is_up
from tests.processes import Visitor, free_port

pytestmark = pytest.mark.services


def certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.now(UTC) - timedelta(minutes=5)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=1))
    signed = made.sign(key, hashes.SHA256())
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(plain)


def test_tls_is_ready_to_be_switched_on(front: Front, settings: Settings, tmp_path: Path) -> None:
    certificate(tmp_path)
    plain, secure = free_port(), free_port()
    text = render(tmp_path, settings.media_dir, plain, list(front.instances))
    text = text.replace(f"        listen 127.0.0.1:{plain};\n        # To switch", "        # To switch")
    text = text.replace("#tls ", "").replace("listen 443", f"listen 127.0.0.1:{secure}")
    text = text.replace("/etc/ssl/swiper", str(tmp_path))
    with start_nginx(tmp_path, text) as nginx, Visitor(f"https://127.0.0.1:{secure}") as visitor:
        visitor.verify = False
        nginx.wait_for(lambda: is_up(plain), "nginx does not serve")
        with pytest.warns(Warning, match="certificate"):
            page, asset = visitor.get("/healthz"), visitor.get("/assets/tokens.css")
        assert page.status_code == asset.status_code == 200
        for answer in (page, asset):
            assert header_lines(answer, "Strict-Transport-Security") == ["max-age=31536000"]
        with Visitor(f"http://127.0.0.1:{plain}") as plainly:
            moved = plainly.get("/healthz", allow_redirects=False)
        assert (moved.status_code, moved.headers["Location"]) == (301, "https://127.0.0.1/healthz")
        challenge = tmp_path / "acme/.well-known/acme-challenge"
        challenge.mkdir(parents=True)
        (challenge / "token").write_text("token.thumbprint")
        # Before there is a certificate, an authority can only ask without TLS.
        with Visitor(f"http://127.0.0.1:{plain}") as authority:
            answer = authority.get("/.well-known/acme-challenge/token", allow_redirects=False)
        assert (answer.status_code, answer.text) == (200, "token.thumbprint")
