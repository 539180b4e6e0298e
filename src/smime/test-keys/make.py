#!/usr/bin/env python3
"""Makes the keys and certificates of the tests of S/MIME, with Python's cryptography and openssl.

They are worth nothing: everybody has them."""

import datetime
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FOLDER = Path(__file__).parent
FROM = datetime.datetime(2020, 1, 1)
UNTIL = datetime.datetime(2120, 1, 1)
USAGES = [
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
]


def rsa_key():
    return rsa.generate_private_key(65537, 2048)


def usage(*names):
    return x509.KeyUsage(**{name: name in names for name in USAGES})


def issue(name, subject, key, issuer, extensions, until=UNTIL):
    """Writes the files of a certificate; `issuer` is a certificate and its key, or nothing for a root."""
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateBuilder().subject_name(own).issuer_name(issuer[0].subject if issuer else own)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(FROM).not_valid_after(until)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (FOLDER / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def save(name, key):
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (FOLDER / f"{name}.key").write_bytes(pem)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=FOLDER, check=True, stderr=subprocess.DEVNULL)


ca = [(x509.BasicConstraints(True, None), True), (usage("key_cert_sign", "crl_sign"), True)]
mail = [
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
    (usage("digital_signature", "content_commitment"), True),
    (x509.SubjectAlternativeName([x509.RFC822Name("News@mail.example.com")]), False),
]
server = [
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    (usage("key_encipherment"), True),
    (x509.SubjectAlternativeName([x509.DNSName("mail.example.com")]), False),
]
root = issue("root", "Test root", rsa_key(), None, ca)
other = issue("other-root", "Test root", rsa_key(), None, ca)
intermediate = issue("intermediate", "Test intermediate", rsa_key(), root, ca)
for name, key in [("rsa", rsa_key()), ("ec", ec.generate_private_key(ec.SECP256R1()))]:
    issue(name, "Example News", key, intermediate, mail)
    save(name, key)
key = rsa_key()
issue("server", "mail.example.com", key, root, server, datetime.datetime(2021, 1, 1))
save("server", key)
issue("self", "Example News", key, None, mail)
save("self", key)
(FOLDER / "chain.pem").write_bytes(b"".join((FOLDER / f"{name}.pem").read_bytes() for name in ["root", "intermediate"]))
(FOLDER / "with-stray.pem").write_bytes((FOLDER / "chain.pem").read_bytes() + (FOLDER / "server.pem").read_bytes())
into = ["-inkey", "rsa.key", "-in", "rsa.pem"]
openssl("pkcs12", "-export", *into, "-certfile", "chain.pem", "-passout", "pass:grün 1", "-out", "rsa.p12")
openssl("pkcs12", "-export", *into, "-legacy", "-passout", "pass:x", "-out", "legacy.p12")
openssl("pkcs8", "-topk8", "-in", "rsa.key", "-passout", "pass:secret", "-out", "rsa-encrypted.key")
openssl("ec", "-in", "ec.key", "-out", "ec-sec1.key")
