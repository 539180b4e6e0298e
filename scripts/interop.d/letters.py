"""Letters: S/MIME, verified by `openssl smime` and by Python's cryptography; encrypted ZIP files, opened by 7z and bsdtar."""

import email
import email.policy
import hashlib
import io
import re
import shutil
import subprocess
import zipfile
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

import common
from common import Failed, holds, ok, same, verify

KEYS = common.ROOT / "src" / "smime" / "test-keys"
PASSWORD = "grün 1"
FROM = "news@mail.example.com"
CERTIFICATES = {
    "pkcs12": f'certificate = "{KEYS}/rsa.p12"\npassword-env = "INTEROP_PASSWORD"\n',
    "encrypted": f'certificate = "{KEYS}/rsa.pem"\nkey = "{KEYS}/rsa-encrypted.key"\nchain = "{KEYS}/chain.pem"\npassword-env = "INTEROP_SECRET"\n',
    "ecdsa": f'certificate = "{KEYS}/ec.pem"\nkey = "{KEYS}/ec-sec1.key"\nchain = "{KEYS}/intermediate.pem"\n',
}


def check(folder):
    for name, smime in CERTIFICATES.items():
        messages = send(folder / f"smime-{name}", smime)
        for raw in messages:
            check_signature(folder, f"{name}: a message", raw)
        check_tampering(folder, name, messages[0])
        ok(f"openssl and Python's cryptography verify S/MIME of {len(messages)} messages, dkimpy DKIM above it ({name})")
    check_documents(folder / "documents")


def send(folder, smime):
    """Sends the welcome campaign, with its HTML, images and attachments, signed with the certificate."""
    file = common.relay_campaign(folder, "")
    text = file.read_text()
    text = text.replace('route = "relay"', 'route = "sandbox"').replace("\n[delivery.relay]\n\n", f"\n[smime]\n{smime}")
    file.write_text(re.sub(r'(?m)^from\s*= .*$', f'from = "News <{FROM}>"', text, count=1))
    kept = folder / "kept"
    environment = {"INTEROP_PASSWORD": PASSWORD, "INTEROP_SECRET": "secret"}
    common.send(file, folder / "runs", folder / "state", "--sandbox", "--sandbox-keep", kept, exits=(1,), environment=environment)
    messages = [message.raw for message in common.read_kept(kept)]
    holds(len(messages) > 10, f"{len(messages)} messages were kept")
    return messages


def check_signature(folder, what, raw):
    verify(raw, common.Zone(), what)
    content = openssl_verifies(folder, raw, "-purpose", "smimesign", "-cades")
    signed = email.message_from_bytes(raw, policy=email.policy.default)
    same(f"{what}: its type", signed.get_content_type(), "multipart/signed")
    same(f"{what}: micalg", signed["Content-Type"].params["micalg"], "sha-256")
    inner, signature = signed.iter_parts()
    same(f"{what}: the signature's type", signature.get_content_type(), "application/pkcs7-signature")
    boundary = signed.get_boundary().encode()
    exact = raw.split(b"\r\n\r\n", 1)[1].split(b"--" + boundary)[1][2:-2]
    same(f"{what}: the content that openssl verified", content, exact)
    holds(not re.search(rb"\r(?!\n)|(?<!\r)\n", exact) and exact.isascii(), f"{what}: the content is not canonical")
    holds(inner.get_content_type().startswith(("multipart/", "text/")), f"{what}: {inner.get_content_type()} was signed")
    by_cryptography(what, exact, signature.get_content())


def openssl_verifies(folder, raw, *arguments):
    """The content, if `openssl cms` accepts its signature for the root that the tests trust."""
    file, content = folder / "message.eml", folder / "content"
    file.write_bytes(raw)
    done = subprocess.run(["openssl", "cms", "-verify", "-in", file, "-CAfile", KEYS / "root.pem", "-out", content, *arguments],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"openssl cms -verify: {done.stderr}")
    return content.read_bytes()


def by_cryptography(what, content, der):
    """The chain, and the signature over the attributes, which hold the hash of the content."""
    certificates = {certificate.subject.rfc4514_string(): certificate for certificate in pkcs7.load_der_pkcs7_certificates(der)}
    same(f"{what}: certificates that go along", sorted(certificates), ["CN=Example News", "CN=Test intermediate"])
    own, intermediate = certificates["CN=Example News"], certificates["CN=Test intermediate"]
    root = x509.load_pem_x509_certificate((KEYS / "root.pem").read_bytes())
    own.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(root)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    same(f"{what}: its address", [name.lower() for name in names.get_values_for_type(x509.RFC822Name)], [FROM])
    info = children(children(children(children(der)[1])[0])[-1])[0]
    attributes, _, signature = children(info)[3:6]
    found = {children(one)[0]: children(children(one)[1])[0] for one in children(attributes)}
    digest = found[oid("2a864886f70d010904")]
    same(f"{what}: the signed hash", value(digest), hashlib.sha256(content).digest())
    time = datetime.strptime(value(found[oid("2a864886f70d010905")]).decode(), "%y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)
    holds(abs((datetime.now(timezone.utc) - time).total_seconds()) < 600, f"{what}: signing time {time}")
    certificate_hash = hashlib.sha256(own.public_bytes(Encoding.DER)).digest()
    holds(certificate_hash in found[oid("2a864886f70d010910022f")], f"{what}: signing-certificate-v2 names another one")
    signed = b"\x31" + attributes[1:]
    if isinstance(own.public_key(), ec.EllipticCurvePublicKey):
        own.public_key().verify(value(signature), signed, ec.ECDSA(hashes.SHA256()))
    else:
        own.public_key().verify(value(signature), signed, padding.PKCS1v15(), hashes.SHA256())


def check_tampering(folder, name, raw):
    """The verifier itself can say no."""
    head, _, body = raw.partition(b"\r\n\r\n")
    at = len(body) // 3
    changed = head + b"\r\n\r\n" + body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
    try:
        openssl_verifies(folder, changed)
    except Failed:
        return
    raise Failed(f"{name}: a changed content still verifies")


# --- secure documents --------------------------------------------------------------------------------------------------


def check_documents(folder):
    """Sends `fixtures/invoices`, and opens each ZIP with the password that came after it."""
    campaign = folder / "invoices"
    shutil.copytree(common.ROOT / "fixtures" / "invoices", campaign, ignore=shutil.ignore_patterns("runs"))
    kept = folder / "kept"
    run = common.send(campaign / "campaign.toml", folder / "runs", folder / "state", "--sandbox-keep", kept)
    zips, passwords = {}, {}
    for message in common.read_kept(kept):
        parsed = email.message_from_bytes(message.raw, policy=email.policy.default)
        (to,) = message.recipients
        files = {part.get_filename(): part.get_content() for part in parsed.walk() if part.get_filename()}
        attached = files.pop("rechnung-facture.zip", None)
        same(f"{to}: other files", list(files), ["smime.p7s"])
        if attached is None:
            holds(to in zips, f"{to}: the password came before the documents")
            passwords[to] = re.search(r"^    (\S+)\s*$", parsed.get_body(("plain",)).get_content(), re.MULTILINE)[1]
        else:
            zips[to] = attached
    same("who got a password", sorted(passwords), sorted(row["email"] for row in run.rows))
    for row in run.rows:
        to = row["email"]
        invoice = (campaign / "invoices" / invoice_of(campaign, to)).read_bytes()
        for program in (by_7z, by_bsdtar):
            inner = program(folder, zips[to], passwords[to])
            with zipfile.ZipFile(io.BytesIO(inner)) as archive:
                same(f"{to}: documents", archive.namelist(), [invoice_of(campaign, to)])
                same(f"{to}: its document", archive.read(archive.namelist()[0]), invoice)
            try:
                program(folder, zips[to], passwords[to][::-1])
            except Failed:
                continue
            raise Failed(f"{to}: {program.__name__} opens it with another password")
        holds(b".pdf" not in zips[to], f"{to}: the name of the document can be read")
    ok(f"7z and bsdtar open the encrypted ZIP of {len(zips)} messages with the password of the second mail, and with no other")


def invoice_of(campaign, to):
    line = next(line for line in (campaign / "recipients" / "customers.csv").read_text().splitlines() if f";{to};" in line)
    return line.split(";")[-1]


def by_7z(folder, content, password):
    return extracted(folder, content, lambda file, into: ["7z", "x", "-y", f"-p{password}", f"-o{into}", file])


def by_bsdtar(folder, content, password):
    return extracted(folder, content, lambda file, into: ["bsdtar", "-x", "--passphrase", password, "-C", into, "-f", file])


def extracted(folder, content, command):
    """The one file in the ZIP."""
    file, into = folder / "documents.zip", folder / "extracted"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    file.write_bytes(content)
    command = command(file, into)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"`{command[0]}` ended with {done.returncode}: {done.stdout}{done.stderr}")
    (found,) = into.iterdir()
    same("the name in the ZIP", found.name, "files.zip")
    return found.read_bytes()


# --- DER ---------------------------------------------------------------------------------------------------------------


def element(der):
    """Where the content of the first element begins and ends."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    return start, start + length


def children(der):
    """The elements within an element, each whole."""
    start, end = element(der)
    found = []
    while start < end:
        length = element(der[start:])[1]
        found.append(der[start:start + length])
        start += length
    return found


def value(der):
    start, end = element(der)
    return der[start:end]


def oid(content):
    content = bytes.fromhex(content)
    return bytes([6, len(content)]) + content
