//! `mailrun dns`: the records that a campaign's sender needs, as lines of a zone file or as JSON.

use std::path::PathBuf;

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::name_servers::DnsOptions;
use super::output::out;
use super::runtime::runtime;
use crate::job::{Job, NameServers};
use crate::mail::Domain;
use crate::preflight::dns::{Published, Record};
use crate::preflight::sender::ADDRESS_UNKNOWN;

/// `mailrun dns`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Campaign file, or the folder with its `campaign.toml`
    campaign: PathBuf,
    /// Where DNS is asked.
    #[command(flatten)]
    dns: DnsOptions,
    /// Point CNAMEs in the sender's zone to this zone, whose owner can then change keys and
    /// policies
    #[arg(long, value_name = "ZONE")]
    cname_to: Option<Domain>,
    /// Don't look up what is published today
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let job = Job::open(&workspace, workspace.load(&args.campaign)?)?;
    let name_servers = NameServers::from(args.dns.clone());
    let asked = (!args.offline || name_servers.is_given()).then_some(&name_servers);
    let records = runtime()?.block_on(job.dns_records(args.cname_to.as_ref(), asked))?;
    let knows_spf = records.iter().any(|record| record.purpose == "spf");
    if args.json {
        let records: Vec<_> = records
            .iter()
            .map(|record| {
                let mut value = json!(record);
                value["line"] = json!(record.line());
                value
            })
            .collect();
        let campaign = &job.campaign().identity.id;
        let unknown = if knows_spf { json!({}) } else { json!({"spf": ADDRESS_UNKNOWN}) };
        let answer = json!({"campaign": campaign, "records": records, "unknown": unknown});
        return json::print(Exit::Ok, answer);
    }
    let mut shown: String = records.iter().map(text).collect();
    if !knows_spf {
        shown.push_str(&format!(
            "; spf: no address is known that the mail leaves from\n;   {ADDRESS_UNKNOWN}\n\n"
        ));
    }
    out(&shown)?;
    Ok(Exit::Ok)
}

/// A comment with what is published, then the line: commented out if nothing has to be done.
fn text(record: &Record) -> String {
    let line = record.line();
    let (said, values, needed) = match &record.published {
        None => ("", &[][..], true),
        Some(Published::Same) => (": published as is", &[][..], false),
        Some(Published::Fitting(values)) => (": published, and it works:", &values[..], false),
        Some(Published::Other(values)) => (": something else is published:", &values[..], true),
        Some(Published::Absent) => (": not published", &[][..], true),
        Some(Published::Unknown(problem)) => (": the lookup failed:", &problem[..], true),
    };
    let mut text = format!("; {}{said}\n", record.purpose);
    for value in values {
        text.push_str(&format!(";   {value}\n"));
    }
    text.push_str(if needed { "" } else { "; " });
    text + &line + "\n\n"
}
