//! `mailrun dns`: the records that a campaign's sender needs, as lines of a zone file or as JSON.

use serde_json::json;

use super::args::{self, Common};
use super::check;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::job::{self, Materials};
use super::out;
use crate::dkim::Signer;
use crate::preflight::dns::{Published, Record, look_up, records};
use crate::preflight::sender::Sender;

pub fn run(common: &Common, args: &args::Records) -> Result<Exit, Diagnostic> {
    let (materials, _) = Materials::open(common, job::load(common, &args.campaign)?)?;
    let campaign = &materials.campaign;
    // Keys whose time has not come are published before they are used.
    let signer = Signer::load(&campaign.dkim)?;
    let sender = Sender {
        from: campaign.sender.from.address.domain(),
        return_path: campaign.sender.return_path().domain(),
        signer: &signer,
        egress: &check::egress(campaign),
        relay: check::relay(campaign),
        message: None,
    };
    let mut records = records(&sender, args.cname_to.as_ref().map(|zone| zone.as_str()));
    if !args.offline || args.dns.is_given() {
        let resolver = args.dns.resolver(campaign)?;
        super::runtime()?.block_on(look_up(&mut records, &resolver));
    }
    if args.json {
        let records: Vec<_> = records
            .iter()
            .map(|record| {
                let mut value = json!(record);
                value["line"] = json!(record.line());
                value
            })
            .collect();
        out(&format!("{:#}\n", json!({"campaign": campaign.identity.id, "records": records})))?;
        return Ok(Exit::Ok);
    }
    out(&records.iter().map(text).collect::<String>())?;
    Ok(Exit::Ok)
}

/// A comment with what is published, then the line: commented out where nothing has to be done.
fn text(record: &Record) -> String {
    let line = record.line();
    let (said, values, needed) = match &record.published {
        None => ("", &[][..], true),
        Some(Published::Same) => (": published as it stands here", &[][..], false),
        Some(Published::Fitting(values)) => (": published, and it does:", &values[..], false),
        Some(Published::Other(values)) => (": something else is published:", &values[..], true),
        Some(Published::Absent) => (": not published", &[][..], true),
        Some(Published::Unknown(problem)) => (": DNS does not say what is published:", &problem[..], true),
    };
    let mut text = format!("; {}{said}\n", record.purpose);
    for value in values {
        text.push_str(&format!(";   {value}\n"));
    }
    text.push_str(if needed { "" } else { "; " });
    text + &line + "\n\n"
}
