"""Certificates and kubeconfigs of the embedded control plane."""

import base64
import json
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tradeplane_cli.local import pki


@pytest.fixture
def authority(tmp_path: Path) -> pki.Authority:
    """Return a fresh authority."""
    made = pki.Authority(tmp_path / "pki")
    made.ensure()
    return made


def _signed_by(authority: pki.Authority, pair: pki.Pair) -> None:
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    x509.load_pem_x509_certificate(pair.certificate).verify_directly_issued_by(issuer)


def test_client_carries_user_and_groups(authority: pki.Authority) -> None:
    """The API server finds the user in CN and the groups in O, signed by the authority."""
    pair = authority.client("tradeplane:demo:gateway", ("one", "two"))
    _signed_by(authority, pair)
    subject = x509.load_pem_x509_certificate(pair.certificate).subject
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["tradeplane:demo:gateway"]
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["one", "two"]


@pytest.mark.parametrize(
    "kind,usage", [("client", ExtendedKeyUsageOID.CLIENT_AUTH), ("serving", ExtendedKeyUsageOID.SERVER_AUTH)]
)
def test_certificate_serves_one_purpose(authority: pki.Authority, kind: str, usage: x509.ObjectIdentifier) -> None:
    """A client's certificate cannot serve and the server's cannot be a client; neither may issue others."""
    pair = authority.client("user") if kind == "client" else authority.serving()
    found = x509.load_pem_x509_certificate(pair.certificate).extensions
    assert list(found.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    assert not found.get_extension_for_class(x509.BasicConstraints).value.ca


def test_serving_certificate_names_loopback_only(authority: pki.Authority) -> None:
    """The API server's certificate is good for 127.0.0.1 and localhost."""
    names = (
        x509.load_pem_x509_certificate(authority.serving().certificate)
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert "localhost" in names.get_values_for_type(x509.DNSName)


def test_another_authority_did_not_sign(authority: pki.Authority, tmp_path: Path) -> None:
    """Two environments do not trust each other's clients."""
    other = pki.Authority(tmp_path / "other")
    other.ensure()
    with pytest.raises(exceptions.InvalidSignature):
        _signed_by(other, authority.client("user"))


def test_authority_is_kept(authority: pki.Authority) -> None:
    """A second preparation keeps the authority, so that certificates stay valid."""
    before = authority.certificate.read_bytes()
    authority.ensure()
    assert authority.certificate.read_bytes() == before


def test_private_files_are_closed(authority: pki.Authority, tmp_path: Path) -> None:
    """Keys, certificates and kubeconfigs are readable by the owner only, also when they replace an open file."""
    target = tmp_path / "kubeconfig"
    target.write_text("old")
    target.chmod(0o644)
    pki.write_private(target, b"new")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (authority.key, authority.certificate, target)}
    assert modes == {0o600}
    assert target.read_bytes() == b"new"


def test_kubeconfig_holds_a_matching_pair(authority: pki.Authority, tmp_path: Path) -> None:
    """The kubeconfig's certificate and key belong together and load as TLS material."""
    text = pki.kubeconfig(
        server="https://127.0.0.1:1", authority=authority.certificate, client=authority.client("u"), namespace="demo"
    )
    document = json.loads(text)
    user = document["users"][0]["user"]
    certificate, key = tmp_path / "c", tmp_path / "k"
    certificate.write_bytes(base64.b64decode(user["client-certificate-data"]))
    key.write_bytes(base64.b64decode(user["client-key-data"]))
    ssl.create_default_context(cafile=str(authority.certificate)).load_cert_chain(certificate, key)
    assert document["contexts"][0]["context"]["namespace"] == "demo"


def test_signing_key_publishes_only_its_public_half() -> None:
    """The file that the API server checks tokens with holds no private key."""
    pair = pki.signing_key()
    assert b"PRIVATE" not in pair.certificate
    private = serialization.load_pem_private_key(pair.key, password=None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert public == pair.certificate
