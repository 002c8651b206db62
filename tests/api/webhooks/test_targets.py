"""Where webhooks may not go, in every spelling, at the time they are set up and at each connection."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.errors import DeskError, InvalidError
from api.services import Services, open_services
from api.targets import Reach, TargetError, check_target, parse_target
from tests.api.scenes import make_event
from tests.api.webhooks.kit import ADMIN, LOOPBACK, Receiver, hook, quick, receiver
from tests.api.webhooks.test_delivery import first_delivery, until

PUBLIC = "93.184.215.14"


def never(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host}:{port} was looked up")


def at(*addresses: str) -> object:
    return lambda _, __: addresses


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://hooks.example.com/", "expected https://, found ftp"),
        ("file:///etc/passwd", "expected https://, found file"),
        ("gopher://hooks.example.com:70/_x", "expected https://, found gopher"),
        ("hooks.example.com", "expected https://, found no scheme"),
        ("https://", "expected the name or the address of a host"),
        ("https://user:word@hooks.example.com/", "expected no user name or password"),
        ("https://@hooks.example.com/", "expected no user name or password"),
        ("https://hooks.example.com/#x", "expected no #fragment"),
        ("https://hooks.example.com:22/", "expected port 443 or one of 1024 to 65535, found 22"),
        ("https://hooks.example.com:0/", "found 0"),
        ("https://hooks.example.com:99999/", "a port of 1 to 65535"),
        ("https://hooks.example.com:x/", "a port of 1 to 65535"),
        ("https://hooks.example.com\\@127.0.0.1/", "ASCII without spaces"),
        ("https://hooks.example.com/a b", "ASCII without spaces"),
        ("https://hooks.example.com/\r\nX: y", "ASCII without spaces"),
        ("https://höoks.example.com/", "ASCII without spaces"),
        ("https://hooks.example.com/" + "x" * 2000, "at most 2000 characters"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://0x7f.1/", "four decimal numbers"),
        ("https://0177.0.0.1/", "four decimal numbers"),
        ("https://127.1/", "four decimal numbers"),
        ("https://127.0.0.1./", "four decimal numbers"),
        ("https://[::1%25lo]/", "without a zone"),
        ("https://[127.0.0.1]/", "expected"),
        ("https://[::1/", "expected https://host"),
        ("https://-a.example.com/", "expected the name"),
        ("https://a..b/", "expected the name"),
    ],
)
def test_what_is_no_address_of_a_webhook_is_refused_before_any_look_up(url: str, sentence: str) -> None:
    with pytest.raises(InvalidError, match=sentence.replace("(", r"\(")):
        check_target(url, Reach.parse("0.0.0.0/0,::/0"), never)


PRIVATE = [
    "127.0.0.1", "127.255.1.2", "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", "198.18.0.1", "192.0.2.1",
    "192.0.0.8", "192.88.99.1", "240.0.0.1", "::1", "fc00::1", "fd12:3456::1", "fec0::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:0a00:0001::1",
    "2001:0:53aa:64c::1", "2001:db8::1", "100::1", "3fff::1",
]  # fmt: skip
NOWHERE = ["0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "239.1.2.3", "255.255.255.255", "::",
           "fe80::1", "ff02::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]  # fmt: skip


@pytest.mark.parametrize("address", [*PRIVATE, *NOWHERE])
def test_neither_a_name_nor_a_number_leads_inside(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    for url, resolver in (
        (f"https://{host}/", None),
        ("https://hooks.example.com/", at(address)),
        ("https://hooks.example.com/", at(PUBLIC, address)),
    ):
        with pytest.raises(TargetError):
            check_target(url, Reach(), resolver or at(address))  # type: ignore[arg-type]


@pytest.mark.parametrize("address", NOWHERE)
def test_some_addresses_are_refused_whatever_the_operator_allows(address: str) -> None:
    with pytest.raises(TargetError, match="no webhook may go"):
        check_target("https://hooks.example.com/", Reach.parse("0.0.0.0/0,::/0"), at(address))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "address", "allowed", "good"),
    [
        ("https://hooks.example.com/", PUBLIC, "", True),
        ("https://hooks.example.com:8443/x?y=1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "", True),
        ("http://hooks.example.com/", PUBLIC, "", False),
        ("https://10.1.2.3/", "10.1.2.3", "10.1.0.0/16", True),
        ("http://10.1.2.3:8080/", "10.1.2.3", "10.1.0.0/16", True),
        ("http://10.2.2.3:8080/", "10.2.2.3", "10.1.0.0/16, 192.168.0.0/24", False),
        ("http://[::1]:8080/", "::1", "::1/128", True),
        ("http://192.168.0.9/", "192.168.0.9", "10.1.0.0/16, 192.168.0.0/24", True),
    ],
)
def test_public_targets_and_networks_that_the_operator_allows_may_be_reached(
    url: str, address: str, allowed: str, good: bool
) -> None:
    if good:
        assert check_target(url, Reach.parse(allowed), at(address)).url == url  # type: ignore[arg-type]
    else:
        with pytest.raises(TargetError):
            check_target(url, Reach.parse(allowed), at(address))  # type: ignore[arg-type]


def test_a_setting_that_cannot_be_read_says_so() -> None:
    assert Reach.of_environment({}) == Reach()
    assert Reach.of_environment({"GATEWATCH_WEBHOOK_ALLOW": "127.0.0.0/8"}) == LOOPBACK
    with pytest.raises(DeskError, match=r"GATEWATCH_WEBHOOK_ALLOW: expected networks such as .* found 10\.1\.2\.3/8"):
        Reach.of_environment({"GATEWATCH_WEBHOOK_ALLOW": "10.1.2.3/8"})


def test_a_name_that_cannot_be_found_is_refused() -> None:
    def gone(_: str, __: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(TargetError, match="cannot be found"):
        check_target("https://hooks.example.com/", Reach(), gone)


def test_what_the_request_says() -> None:
    target = parse_target("https://Hooks.Example.com:8443/a/b?c=d")
    assert (target.host, target.port, target.path) == ("hooks.example.com", 8443, "/a/b?c=d")
    assert target.authority == "hooks.example.com:8443"
    assert parse_target("https://[2606:4700::1]").authority == "[2606:4700::1]"


def test_a_name_that_moves_inside_after_it_was_checked_gets_nothing(
    database: str, media: Path, target: Receiver
) -> None:
    port = target.url.split(":")[2].partition("/")[0]
    told = [(PUBLIC,), ("127.0.0.1",)]

    def moving(_: str, __: int) -> Sequence[str]:
        return told.pop(0) if len(told) > 1 else told[0]

    with open_services(database, media_dir=media, sending=quick(reach=Reach(), resolver=moving)) as services:
        services.webhooks.start()
        made, _ = hook(services, f"https://hooks.example.com:{port}/", "alert.raised")
        services.desk.take(make_event())
        delivery = first_delivery(services, made.webhook_id)
        assert delivery.status is None
        assert delivery.error is not None
        assert "not on the public internet" in delivery.error
    assert target.got == []


class Authority:
    """Signs certificates for the tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
        self._certificate = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))

    def context(self) -> ssl.SSLContext:
        pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key, x509.SubjectAlternativeName([x509.DNSName(name)]))
        files = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = serialization.PrivateFormat.PKCS8
        files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
        return files

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(extension, critical=True).add_extension(own, critical=False)
        return builder.add_extension(by, critical=False).sign(self._key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A proxy that the environment names."""
    with receiver() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        yield proxy


def test_the_connection_goes_to_the_checked_address_under_the_targets_name(
    database: str, media: Path, authority: Authority, proxied: Receiver
) -> None:
    options = quick(resolver=at("127.0.0.1"), tls=authority.context())
    with (
        receiver(tls=authority.issue("hooks.example.com")) as served,
        open_services(database, media_dir=media, sending=options) as services,
    ):
        port = served.url.split(":")[2].partition("/")[0]
        services.webhooks.start()
        hook(services, f"https://hooks.example.com:{port}/hook", "alert.raised")
        services.desk.take(make_event())
        (one,) = served.wait(1)
    assert one.headers["host"] == f"hooks.example.com:{port}"
    assert proxied.got == []


def test_a_certificate_of_another_name_or_of_nobody_is_not_believed(
    database: str, media: Path, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    certificates = authority.issue("other.example.com"), stranger.issue("hooks.example.com")
    for number, certificate in enumerate(certificates, start=1):
        options = quick(resolver=at("127.0.0.1"), tls=authority.context())
        with (
            receiver(tls=certificate) as served,
            open_services(database, media_dir=media, sending=options) as services,
        ):
            port = served.url.split(":")[2].partition("/")[0]
            services.webhooks.start()
            made, _ = hook(services, f"https://hooks.example.com:{port}/hook", "alert.raised")
            services.desk.take(make_event(number, 1000.0 * number))
            delivery = first_delivery(services, made.webhook_id)
            assert delivery.error is not None
            assert "certificate is not believed" in delivery.error
            services.webhooks.remove(made.webhook_id, ADMIN, ADMIN.actor(None), None)
            assert served.got == []


def test_a_target_whose_first_address_is_dead_is_reached_at_its_second(
    database: str, media: Path, target: Receiver
) -> None:
    port = int(target.url.split(":")[2].partition("/")[0])
    options = quick(resolver=at("127.0.0.3", "127.0.0.1"))
    assert ipaddress.ip_address("127.0.0.3").is_loopback
    with open_services(database, media_dir=media, sending=options) as services:
        services.webhooks.start()
        made, _ = hook(services, f"http://hooks.example.com:{port}/hook", "alert.raised")
        services.desk.take(make_event())
        target.wait(1)
        until(services, made.webhook_id, pending=0)


def test_what_is_checked_is_told_to_those_who_set_it_up(services: Services) -> None:
    with pytest.raises(TargetError, match="the operator has not allowed its network") as refused:
        hook(services, "https://10.0.0.1/", "alert.raised")
    assert (refused.value.status, refused.value.code) == (422, "target_refused")
