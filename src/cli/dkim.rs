//! `mailrun dkim`: new keys with their records.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::output::out;
use crate::campaign::Dkim;
use crate::dkim::{KeyKind, Signer, generate};
use crate::mail::Domain;
use crate::preflight::sender::zone_line;

/// `mailrun dkim`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Generate a key; print its record and its table for the campaign file
    Generate(Generate),
}

/// `mailrun dkim generate`.
#[derive(Debug, clap::Args)]
struct Generate {
    /// Domain to sign for (`d=`)
    #[arg(long)]
    domain: Domain,
    /// Name to publish the key under (`s=`)
    #[arg(long)]
    selector: String,
    /// RSA (2,048 bits) can be verified everywhere; use Ed25519 in addition to it
    #[arg(long, value_enum, default_value_t)]
    kind: KeyType,
    /// Key file, readable by its owner only [default: `keys/<selector>.pem`]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The kinds of DKIM keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum KeyType {
    /// RSA, 2,048 bits.
    #[default]
    Rsa,
    /// Ed25519.
    Ed25519,
}

pub(super) fn run(args: &Args) -> Result<Exit, Diagnostic> {
    match &args.command {
        Command::Generate(args) => generate_key(args),
    }
}

fn generate_key(args: &Generate) -> Result<Exit, Diagnostic> {
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("keys/{}.pem", args.selector)));
    let dkim = Dkim {
        domain: args.domain.clone(),
        selector: args.selector.clone(),
        key: path.clone(),
        expires_after: None,
        use_from: None,
        use_until: None,
        headers: Vec::new(),
    };
    Signer::check_selector(&dkim.selector)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .map_err(|error| Diagnostic::of("can't create the key's folder", &error).at(folder.display()))?;
    let kind = match args.kind {
        KeyType::Rsa => KeyKind::Rsa,
        KeyType::Ed25519 => KeyKind::Ed25519,
    };
    generate(kind, &path).map_err(|error| {
        let diagnostic = Diagnostic::of("can't write the key", &error).at(path.display());
        match error.kind() {
            ErrorKind::AlreadyExists => {
                diagnostic.hint("keys are never overwritten; choose another file with `--out`")
            }
            _ => diagnostic,
        }
    })?;
    let signer = Signer::load(std::slice::from_ref(&dkim))?;
    let key = signer.keys().next().expect("one signature was asked for");
    let line = zone_line(&key.record_name(), &key.public_key_record());
    if args.json {
        return json::print(
            Exit::Ok,
            json!({
                "domain": dkim.domain.as_str(), "selector": dkim.selector, "key": path,
                "record": {
                    "name": key.record_name(), "type": "TXT", "value": key.public_key_record(), "line": line,
                },
            }),
        );
    }
    out(&format!(
        "; publish this record, wait until it is visible, then sign with the key\n{}\n\n\
         # in the campaign file, or in senders.toml as [[sender.dkim]]\n[[dkim]]\ndomain   = \"{}\"\nselector = \"{}\"\nkey      = \"{}\"\n",
        line,
        dkim.domain,
        dkim.selector,
        path.display()
    ))?;
    Ok(Exit::Ok)
}
