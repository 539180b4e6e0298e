use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};

use super::*;
use crate::campaign::Span;
use crate::mail::Domain;

const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

fn test_key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dkim/test-keys").join(name)
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("MAILRUN_CORPORA").map(|folder| PathBuf::from(folder).join("dkim"));
    if folder.is_none() {
        println!("not run: MAILRUN_CORPORA is not set");
    }
    folder
}

fn signature(domain: &str, selector: &str, key: impl Into<PathBuf>) -> Dkim {
    Dkim {
        domain: Domain::parse(domain).unwrap(),
        selector: selector.into(),
        key: key.into(),
        expires_after: None,
        use_from: None,
        use_until: None,
        headers: Vec::new(),
    }
}

fn message(header: &str, body: &[&[u8]]) -> Message {
    Message {
        header: Bytes::copy_from_slice(header.as_bytes()),
        body: body.iter().map(|segment| Bytes::copy_from_slice(segment)).collect(),
        message_id: "1@example.com".into(),
        eight_bit: false,
        needs_smtputf8: false,
    }
}

const HEADER: &str = "From: News <news@example.com>\r\nTo: =?utf-8?B?Sm9zw6k=?= <jose@example.org>\r\n\
    Subject: A  subject\r\n that is\tfolded\r\nDate: Thu, 28 May 2026 20:26:40 +0000\r\n\
    Message-ID: <1@example.com>\r\nList-Unsubscribe: <https://example.com/u/x>\r\n\
    List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nX-Other: y\r\n";

/// The TXT records of a signer's keys, for mail-auth's verifier.
struct Records(HashMap<String, Txt>);

impl Records {
    fn of(signer: &Signer) -> Self {
        Self(signer.keys().map(|key| Self::entry(&key.record_name(), &key.public_key_record())).collect())
    }

    fn entry(name: &str, record: &str) -> (String, Txt) {
        let key = DomainKey::parse(record.as_bytes()).expect("a record that mail-auth reads");
        (format!("{name}."), Txt::DomainKey(Arc::new(key)))
    }
}

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        self.0
            .iter()
            .find(|(known, _)| {
                let known: Box<str> = known.as_str().into();
                std::borrow::Borrow::<Q>::borrow(&known) == name
            })
            .map(|(_, record)| record.clone())
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// The results of mail-auth's verifier, one for each signature.
fn verify(message: &[u8], records: &Records) -> Vec<DkimResult> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let authenticator = MessageAuthenticator::new_quad9().expect("the resolver is made, and never asked");
        let message = AuthenticatedMessage::parse(message).expect("a message");
        let parameters = Parameters::new(&message).with_txt_cache(records);
        authenticator.verify_dkim(parameters).await.iter().map(|output| output.result().clone()).collect()
    })
}

#[test]
fn every_kind_of_key_and_several_at_once_verify() {
    let signer = Signer::load(&[
        signature("example.com", "one", test_key("rsa-pkcs1.pem")),
        signature("example.com", "two", test_key("rsa-pkcs8.pem")),
        signature("mail.example.com", "three", test_key("ed25519.pem")),
    ])
    .unwrap();
    let signed = signer.sign(message(HEADER, &[b"Hello\r\n"]), NOW).unwrap();
    assert_eq!(verify(&signed.to_vec(), &Records::of(&signer)), vec![DkimResult::Pass; 3]);
    let text = String::from_utf8(signed.segments[0].to_vec()).unwrap();
    for line in text.lines().filter(|line| !line.starts_with("DKIM-Signature")) {
        assert!(line.len() <= 78, "{line}");
    }
    assert!(signed.segments[0].len() <= 3 * SIGNATURE_BYTES);
}

#[test]
fn every_shape_of_body_verifies() {
    let signer = Signer::load(&[signature("example.com", "s", test_key("ed25519.pem"))]).unwrap();
    let records = Records::of(&signer);
    let shapes: [&[&[u8]]; 8] = [
        &[],
        &[b"no last line end"],
        &[b"Hello\r\n\r\n\r\n"],
        &[b"..two dots\r\n.\r\n.one\r\n"],
        &["Grüße  aus\tKöln \r\n".as_bytes()],
        &[b"in seg", b"ments \r", b"\n \r\n", b"end\r\n"],
        &[b"\r\n\r\n"],
        &[b"\x00\xff\xfe \r\n"],
    ];
    for body in shapes {
        let signed = signer.sign(message(HEADER, body), NOW).unwrap();
        assert_eq!(verify(&signed.to_vec(), &records), [DkimResult::Pass], "{body:?}");
    }
    // mail-auth 0.13 gets the relaxed form of this one wrong, the others do not: `Hello` is what is
    // left of it.
    let tail = signer.sign(message(HEADER, &[b"Hello\r\n \t\r\n \r\n"]), NOW).unwrap();
    let plain = signer.sign(message(HEADER, &[b"Hello\r\n"]), NOW).unwrap();
    assert_eq!(tail.segments[0], plain.segments[0]);
}

#[test]
fn a_changed_message_does_not_verify() {
    let signer = Signer::load(&[signature("example.com", "s", test_key("ed25519.pem"))]).unwrap();
    let signed = signer.sign(message(HEADER, &[b"Hello\r\n"]), NOW).unwrap().to_vec();
    let text = String::from_utf8(signed).unwrap();
    let records = Records::of(&signer);
    for (from, to) in [
        ("Hello", "Hullo"),
        ("List-Unsubscribe=One-Click", "List-Unsubscribe=One-Clack"),
        ("example.com/u/x", "example.com/u/y"),
        ("From: News", "From: Evil <evil@example.net>\r\nFrom: News"),
    ] {
        assert!(text.contains(from));
        let changed = text.replacen(from, to, 1);
        assert!(!matches!(verify(changed.as_bytes(), &records)[..], [DkimResult::Pass]), "{to}");
    }
    let unsigned = text.replacen("X-Other: y", "X-Other: z", 1);
    assert_eq!(verify(unsigned.as_bytes(), &records), [DkimResult::Pass]);
}

fn tags(signed: &SignedMessage) -> HashMap<String, String> {
    let field = String::from_utf8(signed.segments[0].to_vec()).unwrap();
    let value = field.strip_prefix("DKIM-Signature:").unwrap();
    value
        .split(';')
        .filter_map(|tag| tag.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.split_whitespace().collect()))
        .collect()
}

#[test]
fn the_tags_of_a_signature() {
    let mut dkim = signature("example.com", "s", test_key("ed25519.pem"));
    dkim.expires_after = Some(Span(Duration::from_secs(3_600)));
    dkim.headers = vec!["X-Other".into(), "X-Absent".into()];
    let signer = Signer::load(&[dkim]).unwrap();
    let tags = tags(&signer.sign(message(HEADER, &[b"Hello\r\n"]), NOW).unwrap());
    let expected = [
        ("v", "1"),
        ("a", "ed25519-sha256"),
        ("c", "relaxed/relaxed"),
        ("d", "example.com"),
        ("s", "s"),
        ("t", "1780000000"),
        ("x", "1780003600"),
        ("h", "From:From:To:Subject:Date:Message-ID:List-Unsubscribe:List-Unsubscribe-Post:X-Other"),
    ];
    for (name, value) in expected {
        assert_eq!(tags.get(name).map(String::as_str), Some(value), "{name}=");
    }
}

#[test]
fn without_a_key_the_message_stays_as_it_is() {
    let signer = Signer::load(&[]).unwrap();
    let signed = signer.sign(message("From: a@b.example\r\n", &[b"x", b"y\r\n"]), NOW).unwrap();
    assert_eq!(signed.to_vec(), b"From: a@b.example\r\n\r\nxy\r\n");
}

#[test]
fn a_shared_body_is_hashed_once_and_never_mistaken() {
    let shared = SharedBody::default();
    let body = vec![Bytes::from_static(b"one for all\r\n")];
    let expected = body::hash(&body);
    for _ in 0..3 {
        assert_eq!(shared.hash(&body), expected);
    }
    assert!(same_memory(&shared.kept.read().unwrap().as_ref().unwrap().0, &body));
    for text in ["one for each\r\n", "another\r\n", "a third\r\n"] {
        let body = vec![Bytes::from(text.as_bytes().to_vec())];
        assert_eq!(shared.hash(&body), body::hash(&body), "{text}");
        let longer = vec![body[0].clone(), Bytes::from_static(b"more")];
        assert_eq!(shared.hash(&longer), body::hash(&longer), "{text}");
    }
}

#[test]
fn the_signature_of_rfc_8463() {
    // RFC 8463 §A.2 and §A.3: the signature with the field of the RFC in place of ours.
    const KEY: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const HEADER: &str = "From: Joe SixPack <joe@football.example.com>\r\n\
        To: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\n\
        Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
        Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n";
    const FIELD: &str = "dkim-signature:v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; \
        i=@football.example.com; q=dns/txt; s=brisbane; t=1528637909; h=from : to : subject : date : \
        message-id : from : subject : date; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=";
    const EXPECTED: &str =
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==";

    struct Input<'a>(Vec<fields::Field<'a>>);
    impl Writable for Input<'_> {
        fn write(self, writer: &mut impl Writer) {
            Canonicalization::Relaxed.canonicalize_headers(self.0.into_iter(), writer);
            writer.write(FIELD.as_bytes());
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, KEY).unwrap();
    let key = Key::load(&signature("football.example.com", "brisbane", &path)).unwrap();
    let (_, chosen) = fields::select(&fields::to_sign(&[]), &fields::split(HEADER.as_bytes()));
    let mut input = Vec::new();
    Input(chosen).write(&mut input);
    assert_eq!(BASE64_STANDARD.encode(key.sign(&input).unwrap()), EXPECTED);
    assert_eq!(key.public_key_record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
}

#[test]
fn signatures_with_the_keys_of_the_corpus_verify() {
    let Some(folder) = corpus() else { return };
    let original = fs::read_to_string(folder.join("rfc6376.msg")).unwrap().replace("\r\n", "\n");
    let (header, body) = original.split_once("\n\n").unwrap();
    let header = format!("{}\r\n", header.replace('\n', "\r\n"));
    let body = body.replace('\n', "\r\n");
    let published = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    for (key, record) in [
        ("2048_testkey_PKCS8.key", "2048_testkey_PKCS8.key.pub.txt"),
        ("2048_testkey.key", "2048_testkey_wo_markers.pub.txt"),
        ("2048_testkey.key", "2048_testkey_wo_markers.pub.rsa.txt"),
        ("ed25519test.key", "ed25519test.dns"),
    ] {
        let signer = Signer::load(&[signature("football.example.com", "test", folder.join(key))]).unwrap();
        let published = published(record);
        let entry = Records::entry("test._domainkey.football.example.com", published.trim());
        let signed = signer.sign(message(&header, &[body.as_bytes()]), NOW).unwrap();
        assert_eq!(verify(&signed.to_vec(), &Records([entry].into())), [DkimResult::Pass], "{record}");
        let p = published.split("p=").nth(1).unwrap().trim();
        let p = BASE64_STANDARD.decode(p).unwrap();
        assert!(signer.keys().all(|key| key.is_public_half(&p)), "{record}");
    }
    let too_small = Signer::load(&[signature("example.com", "s", folder.join("1024_testkey.key"))]);
    assert!(matches!(too_small, Err(KeyError::Size { bits: 1_024, .. })));
}

#[test]
fn ed25519_signatures_depend_on_nothing_but_message_and_time() {
    let make = || {
        let signer = Signer::load(&[signature("example.com", "s", test_key("ed25519.pem"))]).unwrap();
        signer.sign(message(HEADER, &[b"Hello\r\n"]), NOW).unwrap().to_vec()
    };
    assert_eq!(make(), make());
}

#[test]
fn what_is_no_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let says = |content: &[u8], found: &str| {
        fs::write(&path, content).unwrap();
        let error = Signer::load(&[signature("example.com", "s", &path)]).unwrap_err();
        assert!(error.to_string().contains(found), "{error}, expected {found}");
        assert!(!error.hint().is_empty());
    };
    let block = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into_bytes()
    };
    says(b"", "it is empty");
    says(b"\n \n", "it is empty");
    says(b"hello, world\n", "text that is not PEM");
    says(b"\x30\x82\x04\xa4\x02\x01", "DER, not PEM");
    says(b"\x89PNG\r\n\x1a\n", "binary data");
    says(&block("PUBLIC KEY", "AAAA"), "a public key");
    says(&block("CERTIFICATE", "AAAA"), "a certificate");
    says(&block("ENCRYPTED PRIVATE KEY", "AAAA"), "an encrypted private key");
    says(
        &block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AA\n\nAAAA"),
        "an encrypted private key",
    );
    says(&block("EC PRIVATE KEY", "AAAA"), "an elliptic-curve (ECDSA) key");
    says(&fs::read(test_key("ec-pkcs8.pem")).unwrap(), "an elliptic-curve (ECDSA) key");
    says(&block("OPENSSH PRIVATE KEY", "AAAA"), "an OpenSSH key");
    says(&block("PGP PRIVATE KEY BLOCK", "AAAA"), "a `PGP PRIVATE KEY BLOCK`");
    says(&block("RSA PRIVATE KEY", "!!"), "damaged: its base64 is broken");
    says(&block("PRIVATE KEY", "AAAA"), "damaged: its DER is broken");
    says(&fs::read(test_key("rsa-1024.pem")).unwrap(), "has 1024 bits; signing needs 2048 to 4096");
    let whole = fs::read_to_string(test_key("rsa-pkcs8.pem")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let cut = [&lines[..10], &lines[14..]].concat().join("\n");
    says(cut.as_bytes(), "damaged");

    let missing = Signer::load(&[signature("example.com", "s", folder.path().join("none"))]).unwrap_err();
    assert!(matches!(missing, KeyError::Read { .. }));
}

#[test]
fn selectors_are_checked() {
    let load = |selector: &str| Signer::load(&[signature("example.com", selector, test_key("ed25519.pem"))]);
    for good in ["s2026", "a.b-c", "mail_1"] {
        assert!(load(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "a;d=evil.example", "a..b", "s\r\n"] {
        assert!(matches!(load(bad), Err(KeyError::Selector { .. })), "{bad:?}");
    }
}

#[test]
fn a_key_after_other_blocks_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let key = fs::read_to_string(test_key("rsa-pkcs1.pem")).unwrap();
    fs::write(&path, format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{key}")).unwrap();
    let signer = Signer::load(&[signature("example.com", "s", &path)]).unwrap();
    assert_eq!(signer.keys().map(Key::rsa_bits).collect::<Vec<_>>(), [Some(2_048)]);
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_gets_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    fs::copy(test_key("ed25519.pem"), &path).unwrap();
    let warnings = |mode: u32| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Signer::load(&[signature("example.com", "s", &path)]).unwrap().warnings().len()
    };
    assert_eq!((warnings(0o600), warnings(0o400), warnings(0o640), warnings(0o604)), (0, 0, 1, 1));
}

#[test]
fn debug_output_holds_no_key() {
    let signer = Signer::load(&[signature("example.com", "s", test_key("ed25519.pem"))]).unwrap();
    let text = format!("{signer:?}");
    assert!(text.contains("Key(s._domainkey.example.com, ed25519-sha256)"), "{text}");
}
