//! `mailrun dkim`: new keys with their records.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::args::{DkimCommand, KeyType};
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::out;
use crate::campaign::Dkim;
use crate::dkim::{KeyKind, Signer, generate};
use crate::preflight::sender::zone_line;

pub fn run(command: DkimCommand) -> Result<Exit, Diagnostic> {
    let DkimCommand::Generate { domain, selector, kind, out: path } = command;
    let path = path.unwrap_or_else(|| PathBuf::from(format!("keys/{selector}.pem")));
    let dkim = Dkim {
        domain,
        selector,
        key: path.clone(),
        expires_after: None,
        use_from: None,
        use_until: None,
        headers: Vec::new(),
    };
    Signer::check_selector(&dkim.selector)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .map_err(|error| Diagnostic::of("can't make the key's folder", &error).at(folder.display()))?;
    let kind = match kind {
        KeyType::Rsa => KeyKind::Rsa,
        KeyType::Ed25519 => KeyKind::Ed25519,
    };
    generate(kind, &path).map_err(|error| {
        let diagnostic = Diagnostic::of("can't write the key", &error).at(path.display());
        match error.kind() {
            ErrorKind::AlreadyExists => {
                diagnostic.hint("a key is never overwritten: name another file with `--out`")
            }
            _ => diagnostic,
        }
    })?;
    let signer = Signer::load(std::slice::from_ref(&dkim))?;
    let key = signer.keys().next().expect("one signature was asked for");
    out(&format!(
        "; publish this record, wait until it is seen, then sign with the key\n{}\n\n\
         # in the campaign file, or in senders.toml as [[sender.dkim]]\n[[dkim]]\ndomain   = \"{}\"\nselector = \"{}\"\nkey      = \"{}\"\n",
        zone_line(&key.record_name(), &key.public_key_record()),
        dkim.domain,
        dkim.selector,
        path.display()
    ))?;
    Ok(Exit::Ok)
}
