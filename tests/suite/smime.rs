//! `[smime]` from the campaign file to the wire: what is signed, and what is refused.

use std::fs;
use std::path::Path;

use mailrun::sandbox::{Keep, Options};

use crate::kit::{Dir, Relay, campaign, list};

/// A copy of a file of the certificates that the unit tests use.
fn key_file(dir: &Dir, name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/smime/test-keys");
    dir.write(&format!("keys/{name}"), fs::read(folder.join(name)).unwrap());
}

/// `[smime]` with the PKCS#12 file, whose password is in a file.
fn with_pkcs12(dir: &Dir) -> &'static str {
    key_file(dir, "rsa.p12");
    dir.write("keys/password", "grün 1\n");
    "[smime]\ncertificate = \"keys/rsa.p12\"\npassword-file = \"keys/password\"\n"
}

const DKIM: &str = "[[dkim]]\ndomain = \"mail.example.com\"\nselector = \"s\"\nkey = \"keys/dkim.pem\"\n";

#[test]
fn every_message_is_signed_under_dkim_and_no_secret_is_written() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    dir.write("keys/dkim.pem", include_str!("../../fixtures/welcome/keys/test-only-rsa.pem"));
    let file = campaign(&dir, "signed", relay.port(), "", &format!("{}{DKIM}", with_pkcs12(&dir)));
    list(&dir, "signed", 20);
    dir.run(&["send", &file, "--no-check"]).ended(0);
    relay.stop();
    let read = |entry: Result<fs::DirEntry, _>| fs::read_to_string(entry.unwrap().path()).unwrap();
    let messages: Vec<String> = fs::read_dir(kept).unwrap().map(read).collect();
    assert_eq!(messages.len(), 20);
    for message in &messages {
        let (dkim, header) =
            message.split_once("DKIM-Signature:").unwrap().1.split_once("\r\nFrom:").unwrap();
        assert!(dkim.contains("Content-Type"), "DKIM signs what S/MIME made: {dkim}");
        let (header, body) = header.split_once("\r\n\r\n").unwrap();
        assert!(header.contains("Content-Type: multipart/signed; micalg=sha-256;"), "{header}");
        assert!(!header.contains("Content-Transfer-Encoding"), "{header}");
        assert!(body.starts_with("--=_"), "{body}");
        assert!(body.contains(
            "Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello "
        ));
        assert!(body.contains("filename=\"smime.p7s\"") && body.is_ascii(), "{body}");
    }
    assert_eq!(dir.files_with("grün 1"), [dir.path().join("keys/password")]);
}

/// `personalised = false`: one message for many, whose content is signed once for all of them.
#[test]
fn one_text_for_all_is_signed_once() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    let file = campaign(&dir, "all", relay.port(), "", with_pkcs12(&dir));
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let text = text.replace("subject = \"Number {{n}}\"", "subject = \"Outage\"\npersonalised = false");
    dir.write(&file, text.replace("id = \"all\"", "id = \"all\"\nkind = \"alarm\""));
    dir.write("letter.hbs", "The power is out.\n");
    list(&dir, "all", 50);
    dir.run(&["send", &file, "--no-check"]).ended(0);
    let stats = relay.stop();
    assert_eq!(stats.recipients, 50);
    assert!(stats.accepted < 50, "{} messages", stats.accepted);
    for entry in fs::read_dir(kept).unwrap() {
        assert!(fs::read_to_string(entry.unwrap().path()).unwrap().contains("multipart/signed"));
    }
}

#[test]
fn what_recipients_could_not_verify_is_not_sent() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let refused = |id: &str, smime: &str, code: i32, says: &str| {
        let file = campaign(&dir, id, relay.port(), "", smime);
        list(&dir, id, 2);
        dir.run(&["send", &file]).ended(code).says(says);
    };
    for name in ["rsa.pem", "rsa.key", "server.pem", "server.key", "chain.pem"] {
        key_file(&dir, name);
    }
    let server = "[smime]\ncertificate = \"keys/server.pem\"\nkey = \"keys/server.key\"\n";
    refused("address", server, 3, "has no address, and From is `news@mail.example.com`");
    refused("usage", server, 3, "its key usage has neither `digitalSignature` nor `nonRepudiation`");
    refused("dates", server, 3, "is valid from 2020-01-01 to 2021-01-01, not now");
    let other = "[smime]\ncertificate = \"keys/rsa.pem\"\nkey = \"keys/server.key\"\n";
    refused("key", other, 2, "is that of the private key");
    let over =
        "[smime]\ncertificate = \"keys/rsa.pem\"\nkey = \"keys/rsa.key\"\nuse-until = \"2025-01-01\"\n";
    refused("over", over, 2, "no certificate of [smime] signs on 20");
    let unset = with_pkcs12(&dir).replace("password-file = \"keys/password\"", "password-env = \"NOT_SET\"");
    refused("unset", &unset, 2, "the environment variable `NOT_SET` is not set");
    assert_eq!(relay.stop().accepted, 0);
    let file = campaign(&dir, "good", 9, "", with_pkcs12(&dir));
    list(&dir, "good", 2);
    let checked = dir.run(&["check", &file]).stdout();
    assert!(checked.contains("the certificate of `CN=Example News` signs until 2120-01-01"), "{checked}");
}
