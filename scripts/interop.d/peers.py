"""Receivers that nobody here wrote take a run: aiosmtpd, without and with STARTTLS and AUTH, and Postfix's smtp-sink."""

import datetime
import email
import email.policy
import ipaddress
import logging
import os
import re
import ssl
import subprocess

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import common
from common import by_message_id, check_envelope, count, holds, ok, same, verify, wire

logging.disable(logging.CRITICAL)  # aiosmtpd reports refused handshakes at length
USER, PASSWORD = "news", "tr0ub4dor-and-3-horses"


class Keep:
    """aiosmtpd's handler: keeps every message with its envelope and whether it came over TLS."""

    def __init__(self):
        self.messages = []

    async def handle_DATA(self, server, session, envelope):
        self.messages.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content or envelope.content,
                              session.ssl is not None, session.authenticated))
        return "250 2.0.0 kept"


def receiver(handler, **options):
    port = common.free_port()
    return Controller(handler, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True, decode_data=False, **options), port


def wanted_of(rows):
    """Who must get a message from a receiver that refuses nobody: the planned rows that can be rendered."""
    return {row["customer_id"]: wire(row["email"]) for row in rows.values() if row["wanted"] in ("accepted", "bounced", "in_doubt")}


def check_received(result, received, wanted, what):
    """Results, messages and rows agree: each accepted row arrived once, at its address, with its own return path."""
    accepted = {row["message_id"].strip("<>"): row for row in result.rows if row["disposition"] == "accepted"}
    same(f"{what}: recipients accepted", {row["recipient_id"]: wire(row["email"]) for row in accepted.values()}, wanted)
    same(f"{what}: messages received", len(received), len(accepted))
    zone, paths = common.Zone(), set()
    for mail_from, recipients, raw, *_ in received:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        row = accepted.pop(str(message["Message-ID"]).strip("<> "), None)
        holds(row, f"{what}: a message twice, or one without a result: {message['Message-ID']}")
        check_envelope(what, mail_from, recipients, row["email"])
        paths.add(mail_from)
        verify(raw, zone, f"{what}, {row['email']}")
    same(f"{what}: return paths", len(paths), len(received))


def check_plain(folder):
    home = folder / "aiosmtpd"
    handler = Keep()
    controller, port = receiver(handler)
    controller.start()
    try:
        campaign = common.relay_campaign(home, f'host = "127.0.0.1"\nport = {port}\ntls = "none"\nconnections = 4')
        result = common.send(campaign, home / "runs", home / "state", exits=(1,))
    finally:
        controller.stop()
    check_received(result, handler.messages, wanted_of(common.welcome_rows()), "aiosmtpd")
    ok(f"aiosmtpd takes {len(handler.messages)} messages over 4 connections, each once, signatures whole")


def check_starttls_and_auth(folder):
    home = folder / "starttls"
    home.mkdir()
    authority, certificate = make_certificates(home)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def authenticate(server, session, envelope, mechanism, data):
        good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=good)

    handler = Keep()
    controller, port = receiver(handler, tls_context=context, require_starttls=True, authenticator=authenticate,
                                auth_required=True, auth_require_tls=True)
    controller.start()
    relay = 'host = "127.0.0.1"\nport = {}\ntls = "required"\nca-file = "{}"\nusername = "{}"\npassword-env = "INTEROP_PASSWORD"\nconnections = 2'
    try:
        campaign = common.relay_campaign(home / "campaign", relay.format(port, authority, USER))
        result = common.send(campaign, home / "runs", home / "state", "--limit", 40, exits=(0, 1), environment={"INTEROP_PASSWORD": PASSWORD})
        accepted = [row for row in result.rows if row["disposition"] == "accepted"]
        holds(len(accepted) >= 30, f"starttls: {count(result.rows)}")
        same("starttls: messages received", len(handler.messages), len(accepted))
        holds(all(tls and authenticated for *_, tls, authenticated in handler.messages), "starttls: a message came in clear, or without AUTH")
        holds(all(row["tls"] for row in accepted), "starttls: a result says nothing of TLS")
        ok(f"aiosmtpd takes {len(accepted)} messages over STARTTLS with AUTH, the certificate verified against `ca-file`")

        handler.messages.clear()
        stranger, _ = make_certificates(home / "stranger")
        campaign = common.relay_campaign(home / "untrusted", relay.format(port, stranger, USER))
        campaign.write_text(campaign.read_text().replace('first = "1s"', 'first = "100ms"\ngive-up-after = "500ms"'))
        refused = common.send(campaign, home / "runs", home / "state", "--limit", 3, exits=(1, 4), environment={"INTEROP_PASSWORD": PASSWORD})
        same("starttls: messages given to a receiver that is not trusted", len(handler.messages), 0)
        holds("accepted" not in count(refused.rows), f"starttls: {count(refused.rows)}")
        ok("nothing is given to a receiver whose certificate another authority signed")
    finally:
        controller.stop()
    for run in (result, refused):
        holds(PASSWORD not in run.output, "starttls: the password is in the output")
    for path in home.rglob("*"):
        holds(not path.is_file() or PASSWORD.encode() not in path.read_bytes(), f"starttls: the password is in {path}")
    ok("the password is in no output and no file of the run")


def check_smtp_sink(folder):
    home, dumped = folder / "smtp-sink", folder / "smtp-sink-messages"
    dumped.mkdir()
    port = common.free_port()
    command = ["smtp-sink", "-d", f"{dumped}/m.", f"127.0.0.1:{port}", "100"]
    if os.geteuid() == 0:  # it does not run as root, and writes as the user that it becomes
        folder.chmod(0o755)
        dumped.chmod(0o777)
        command[1:1] = ["-u", "nobody"]
    sink = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        common.wait_for_port(port, sink)
        campaign = common.relay_campaign(home, f'host = "127.0.0.1"\nport = {port}\ntls = "none"\nconnections = 4')
        result = common.send(campaign, home / "runs", home / "state", exits=(1,))
    finally:
        sink.terminate()
        sink.wait(timeout=30)
    # smtp-sink does not offer SMTPUTF8: addresses that need it can't be given to it, all others are.
    wanted = {id: address for id, address in wanted_of(common.welcome_rows()).items() if address.isascii()}
    accepted = {row["recipient_id"]: wire(row["email"]) for row in result.rows if row["disposition"] == "accepted"}
    same("smtp-sink: recipients accepted", accepted, wanted)
    found = [re.search(rb"(?m)^X-Rcpt-Args: <([^>]*)>", path.read_bytes()) for path in dumped.iterdir()]
    same("smtp-sink: recipients of its messages", sorted(match[1].decode() for match in found if match), sorted(wanted.values()))
    ids = [re.search(rb"(?mi)^Message-ID:\s*<([^>]*)>", path.read_bytes())[1].decode() for path in dumped.iterdir()]
    same("smtp-sink: Message-IDs", sorted(ids), sorted(by_message_id(row for row in result.rows if row["disposition"] == "accepted")))
    ok(f"Postfix's smtp-sink takes {len(ids)} messages, as many as were accepted")


def make_certificates(folder, key=None):
    """A certificate authority, and a certificate of its for 127.0.0.1 and `key` (P-256 by default). Returns the paths of both PEM files."""
    folder.mkdir(exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc)

    def build(subject, issuer, public, signer, *extensions):
        name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public)
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=7)))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), key or ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False)
    authority = build("Interop CA", "Interop CA", ca_key.public_key(), ca_key, (x509.BasicConstraints(True, 0), True),
                      (x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage), True))
    leaf = build("127.0.0.1", "Interop CA", key.public_key(), ca_key, (x509.BasicConstraints(False, None), True),
                 (x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]), False),
                 (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False))
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    (folder / "server.pem").write_bytes(leaf.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return folder / "ca.pem", folder / "server.pem"
