use std::path::{Path, PathBuf};

use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;
use crate::kit::der::{element, expect};

const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/smime/test-keys").join(name)
}

fn smime(certificate: &str, key: Option<&str>, chain: Option<&str>) -> Smime {
    Smime {
        certificate: file(certificate),
        key: key.map(file),
        chain: chain.map(file),
        password_env: None,
        password_file: None,
        use_from: None,
        use_until: None,
    }
}

fn message(header: &str, body: &[&str]) -> Message {
    Message {
        header: Bytes::copy_from_slice(header.as_bytes()),
        body: body.iter().map(|segment| Bytes::copy_from_slice(segment.as_bytes())).collect(),
        message_id: "1@example.com".into(),
        eight_bit: false,
        needs_smtputf8: false,
    }
}

const HEADER: &str = "From: News <news@mail.example.com>\r\nMIME-Version: 1.0\r\nSubject: Content-Type: x\r\n y\r\n\
    CONTENT-Language: de\r\nContent-Type: text/plain;\r\n charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n";
const OF_CONTENT: &str = "CONTENT-Language: de\r\nContent-Type: text/plain;\r\n charset=\"utf-8\"\r\n\
    Content-Transfer-Encoding: 7bit\r\n";

/// The parts of a signed message: the boundary, what was signed, and the DER of the signature.
fn parts(message: &Message) -> (String, String, Vec<u8>) {
    let header = std::str::from_utf8(&message.header).unwrap();
    let boundary = header.split_once("boundary=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let body = String::from_utf8(message.body.concat()).unwrap();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "", "--\r\n"));
    let content = parts[1].strip_prefix("\r\n").unwrap().strip_suffix("\r\n").unwrap();
    let (part_header, encoded) = parts[2].split_once("\r\n\r\n").unwrap();
    assert!(part_header.contains("application/pkcs7-signature; name=\"smime.p7s\""), "{part_header}");
    assert!(encoded.lines().all(|line| line.len() <= 76));
    let der = BASE64_STANDARD.decode(encoded.split_whitespace().collect::<String>()).unwrap();
    (boundary, content.to_owned(), der)
}

/// Verifies a SignedData, walking it by RFC 5652, and returns its certificates.
fn verify(signer: &Signer, content: &str, der: &[u8]) -> Vec<Vec<u8>> {
    let (info, rest) = expect(der, 0x30).unwrap();
    assert!(rest.is_empty());
    let (_oid, content_info) = expect(info, 0x06).unwrap();
    let (signed, _) = expect(expect(content_info, 0xa0).unwrap().0, 0x30).unwrap();
    let (version, signed) = expect(signed, 0x02).unwrap();
    let (_hashes, signed) = expect(signed, 0x31).unwrap();
    let (_content, signed) = expect(signed, 0x30).unwrap();
    let (mut set, signed) = expect(signed, 0xa0).unwrap();
    let mut certificates = Vec::new();
    while !set.is_empty() {
        let (_, content, rest) = element(set).unwrap();
        certificates.push(set[..set.len() - rest.len()].to_vec());
        assert!(!content.is_empty());
        set = rest;
    }
    let (signers, end) = expect(signed, 0x31).unwrap();
    let (info, others) = expect(signers, 0x30).unwrap();
    assert_eq!((version, end.len(), others.len()), (&[1][..], 0, 0));
    let (_version, info) = expect(info, 0x02).unwrap();
    let (_issuer_and_serial, info) = expect(info, 0x30).unwrap();
    let (_hash, info) = expect(info, 0x30).unwrap();
    let (attributes, info) = expect(info, 0xa0).unwrap();
    let (_algorithm, info) = expect(info, 0x30).unwrap();
    let (signature, _) = expect(info, 0x04).unwrap();
    let hash = aws_lc_rs::digest::digest(&SHA256, content.as_bytes());
    assert!(memchr::memmem::find(attributes, hash.as_ref()).is_some(), "the hash of the content is signed");
    let signed = crate::kit::der::wrap(0x31, attributes);
    let algorithm: &dyn ring::signature::VerificationAlgorithm = match signer.key.algorithm() {
        key::Algorithm::Rsa => &RSA_PKCS1_2048_8192_SHA256,
        key::Algorithm::Ecdsa => &ECDSA_P256_SHA256_ASN1,
    };
    UnparsedPublicKey::new(algorithm, signer.key.public()).verify(&signed, signature).unwrap();
    certificates
}

#[test]
fn the_content_and_its_fields_are_signed_and_the_chain_goes_along_without_its_root() {
    for name in ["rsa", "ec"] {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let signer = Signer::load(&smime(&certificate, Some(&key), Some("chain.pem")), None).unwrap();
        let signed = signer.sign(message(HEADER, &["Hello\r\n", "--=_x\r\nWorld\r\n"]), NOW).unwrap();
        let header = std::str::from_utf8(&signed.header).unwrap();
        let own = "From: News <news@mail.example.com>\r\nMIME-Version: 1.0\r\nSubject: Content-Type: x\r\n y\r\n\
            Content-Type: multipart/signed; micalg=sha-256;\r\n protocol=\"application/pkcs7-signature\";\r\n boundary=\"";
        assert!(header.starts_with(own), "{header}");
        let (_, content, der) = parts(&signed);
        assert_eq!(content, format!("{OF_CONTENT}\r\nHello\r\n--=_x\r\nWorld\r\n"));
        let certificates = verify(&signer, &content, &der);
        assert_eq!(certificates.len(), 2, "{name}");
        let text = String::from_utf8_lossy(&der).into_owned();
        assert!(text.contains("Test intermediate") && signer.strays() == 0, "{name}");
        assert_eq!(*signer.chain_end(), ChainEnd::Root("CN=Test root".into()));
    }
}

#[test]
fn large_segments_are_shared_and_the_boundary_follows_from_the_content() {
    let signer = Signer::load(&smime("rsa.pem", Some("rsa.key"), None), None).unwrap();
    let large = "x".repeat(70);
    let one = message(HEADER, &[&large, "1"]);
    let shared = one.body[0].clone();
    let (first, again) = (signer.sign(one.clone(), NOW).unwrap(), signer.sign(one, NOW).unwrap());
    assert_eq!(first.body[1].as_ptr(), shared.as_ptr(), "without a copy");
    let all = |message: &Message| [&message.header[..], &message.body.concat()].concat();
    assert_eq!(all(&first), all(&again), "the same row gives the same bytes");
    let other = signer.sign(message(HEADER, &[&large, "2"]), NOW).unwrap();
    assert_ne!(parts(&first).0, parts(&other).0);
}

#[test]
fn every_form_of_key_and_certificate_signs_the_same() {
    let sign = |smime: &Smime, password: Option<&str>| {
        let signer = Signer::load(smime, password).unwrap();
        let (_, content, der) = parts(&signer.sign(message(HEADER, &["x\r\n"]), NOW).unwrap());
        verify(&signer, &content, &der);
        (signer.certificate().subject.clone(), signer.intermediates().len())
    };
    let expected = |intermediates| ("CN=Example News".to_owned(), intermediates);
    assert_eq!(sign(&smime("rsa.p12", None, None), Some("grün 1")), expected(1));
    assert_eq!(sign(&smime("rsa.pem", Some("rsa-encrypted.key"), None), Some("secret")), expected(0));
    assert_eq!(sign(&smime("ec.pem", Some("ec-sec1.key"), Some("intermediate.pem")), None), expected(1));
    let folder = tempfile::tempdir().unwrap();
    let all = folder.path().join("all.pem");
    let read = |name| std::fs::read_to_string(file(name)).unwrap();
    std::fs::write(&all, [read("chain.pem"), read("rsa.key"), read("rsa.pem")].concat()).unwrap();
    assert_eq!(sign(&Smime { certificate: all, ..smime("", None, None) }, None), expected(1));
}

#[test]
fn what_cannot_sign_says_why() {
    let refused = |smime: Smime, password: Option<&str>, says: &str| {
        let error = Signer::load(&smime, password).unwrap_err();
        assert!(error.to_string().contains(says) && !error.hint().is_empty(), "{error}");
    };
    refused(smime("none.pem", None, None), None, "can't read");
    refused(smime("rsa.pem", None, None), None, "there is no private key for the certificate in");
    refused(smime("rsa.key", None, None), None, "holds no certificate");
    refused(smime("rsa.pem", Some("ec.key"), None), None, "no certificate in");
    refused(smime("rsa.p12", None, None), None, "is encrypted");
    refused(smime("rsa.p12", None, None), Some("gruen 1"), "the password does not open");
    refused(smime("rsa.pem", Some("rsa-encrypted.key"), None), Some("x"), "the password does not open");
    refused(smime("legacy.p12", None, None), Some("x"), "holds an encryption that is older than AES");
    refused(smime("make.py", None, None), None, "holds text that is not PEM");
    let folder = tempfile::tempdir().unwrap();
    for (content, says) in [
        (&b"\x30\x80\x02\x01\x03"[..], "holds PKCS#12 in BER"),
        (b"\x30\x03\x02\x01\x03", "neither a certificate nor PKCS#12"),
        (b"\xff\xfe", "holds binary data"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds a damaged certificate"),
        (b"-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n", "holds broken base64"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END RSA PRIVATE KEY-----\n", "old encryption"),
    ] {
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        refused(Smime { certificate: path, ..smime("", None, None) }, Some("x"), says);
    }
}

/// Cut or changed files are refused, and never a panic.
#[test]
fn damaged_pkcs12_is_refused() {
    let whole = std::fs::read(file("rsa.p12")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.p12");
    let damaged = smime("", None, None);
    for at in (0..whole.len()).step_by(97) {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        for bytes in [&whole[..at], &changed] {
            std::fs::write(&path, bytes).unwrap();
            let smime = Smime { certificate: path.clone(), ..damaged.clone() };
            assert!(Signer::load(&smime, Some("grün 1")).is_err(), "at {at}");
        }
    }
}

#[test]
fn debug_output_holds_no_key() {
    let signer = Signer::load(&smime("rsa.pem", Some("rsa.key"), None), None).unwrap();
    let shown = format!("{signer:?}");
    assert!(shown.contains("Key(Rsa)") && shown.len() < 8_000, "{shown}");
}
