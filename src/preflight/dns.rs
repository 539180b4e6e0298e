//! Every DNS record that a campaign's sender needs, compared with what is published. Never
//! publishes anything.

use std::net::IpAddr;

use serde::Serialize;

use super::sender::{Egress, PublishedKey, Sender, dmarc, reverse_name, suggested_spf, zone_line};
use crate::campaign::IpFamily;
use crate::route::{DnsError, MxRecord, Resolver};

/// In place of the machine that runs `mailrun serve`.
const SERVE: &str = "serve.example.net.";

/// A record that the sender needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Record {
    /// What it is for: `dkim`, `spf`, `dmarc`, `mta-sts`, `tls-rpt`, `mx`, `address`, `ptr`,
    /// `tracking`.
    pub purpose: &'static str,
    /// Its name, without the last dot.
    pub name: String,
    /// `TXT`, `CNAME`, `MX`, `A`, `AAAA` or `PTR`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its value; the whole text of a TXT record.
    pub value: String,
    /// The address of a PTR record.
    #[serde(skip)]
    ip: Option<IpAddr>,
    /// What is published under this name; `None` if it was not looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
}

/// What is published under the name of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", content = "values", rename_all = "lowercase")]
pub(crate) enum Published {
    /// Exactly this value.
    Same,
    /// Another value that serves the same purpose.
    Fitting(Vec<String>),
    /// Values that do not serve the purpose.
    Other(Vec<String>),
    /// Nothing.
    Absent,
    /// The lookup failed: the error.
    Unknown(Vec<String>),
}

impl Record {
    fn new(purpose: &'static str, name: String, kind: &'static str, value: String) -> Self {
        Self { purpose, name, kind, value, ip: None, published: None }
    }

    /// The host of tracked links, `url` of `[tracking]`: whose machine answers, the sender knows.
    pub(crate) fn tracking(host: &str) -> Self {
        Self::new("tracking", host.to_owned(), "CNAME", SERVE.to_owned())
    }

    /// The record as a line of a zone file.
    pub(crate) fn line(&self) -> String {
        match self.kind {
            "TXT" => zone_line(&self.name, &self.value),
            kind => format!("{}. IN {kind} {}", self.name, self.value),
        }
    }
}

/// The records that a sender needs; none for SPF where no address is known that mail leaves from.
///
/// With `below`, keys and policies are in that zone, and the sender's own zone points there with
/// CNAMEs: then whoever manages that zone can change them.
pub(crate) fn records(sender: &Sender<'_>, below: Option<&str>) -> Vec<Record> {
    let (from, path) = (sender.from.as_str(), sender.return_path.as_str());
    let mut records = Vec::new();
    let mut delegated = |purpose, name: String, value: String| match below {
        Some(zone) => {
            let there = format!("{name}.{zone}");
            records.push(Record::new(purpose, name, "CNAME", format!("{there}.")));
            records.push(Record::new(purpose, there, "TXT", value));
        }
        None => records.push(Record::new(purpose, name, "TXT", value)),
    };
    for key in sender.signer.keys() {
        delegated("dkim", key.record_name(), key.public_key_record());
    }
    let dmarc = format!("v=DMARC1; p=none; rua=mailto:dmarc@{from}");
    delegated("dmarc", format!("_dmarc.{from}"), dmarc);
    delegated("mta-sts", format!("_mta-sts.{path}"), "v=STSv1; id=1".into());
    delegated("tls-rpt", format!("_smtp._tls.{path}"), format!("v=TLSRPTv1; rua=mailto:tls-reports@{path}"));
    if let Some(record) = suggested_spf(sender.egress, &sender.relays) {
        records.push(Record::new("spf", path.to_owned(), "TXT", record));
    }
    records.push(Record::new("mx", path.to_owned(), "MX", format!("10 mx.{path}.")));
    for Egress { address, ehlo } in sender.egress {
        let Some(ehlo) = ehlo else { continue };
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        records.push(Record::new("address", ehlo.clone(), kind, address.to_string()));
        let pointer = Record::new("ptr", reverse_name(*address), "PTR", format!("{ehlo}."));
        records.push(Record { ip: Some(*address), ..pointer });
    }
    records
}

/// Looks up what is published under the names of `records`.
pub(crate) async fn look_up(records: &mut [Record], resolver: &Resolver) {
    for record in records {
        record.published = Some(published(record, resolver).await);
    }
}

async fn published(record: &Record, resolver: &Resolver) -> Published {
    let found: Result<Vec<String>, DnsError> = match (record.kind, record.ip) {
        // A resolver follows a CNAME, so this is the record at its end.
        // Whatever its address is, it leads somewhere.
        _ if record.purpose == "tracking" => {
            let found = resolver.addresses(&record.name, IpFamily::Any).await;
            found.map(|addresses| addresses.iter().map(ToString::to_string).collect())
        }
        ("TXT" | "CNAME", _) => resolver.txt(&record.name).await,
        ("MX", _) => {
            let shown = |mx: &MxRecord| format!("{} {}.", mx.preference, mx.host);
            resolver.mx(&record.name).await.map(|found| found.records.iter().map(shown).collect())
        }
        ("PTR", Some(ip)) => {
            resolver.ptr(ip).await.map(|names| names.iter().map(|n| format!("{n}.")).collect())
        }
        _ => {
            let found = resolver.addresses(&record.name, IpFamily::Any).await;
            found.map(|addresses| addresses.iter().map(ToString::to_string).collect())
        }
    };
    match found {
        Ok(values) => compare(record, values),
        Err(error) if error.is_permanent() => Published::Absent,
        Err(error) => Published::Unknown(vec![error.to_string()]),
    }
}

/// Compares the published values with the record.
fn compare(record: &Record, values: Vec<String>) -> Published {
    if values.contains(&record.value) {
        return Published::Same;
    }
    let wanted: Option<PublishedKey> = record.value.parse().ok();
    let fits = |value: &String| match (record.purpose, record.kind) {
        ("mx" | "tracking", _) => true,
        ("dkim", "CNAME") => value.parse::<PublishedKey>().is_ok(),
        ("dkim", _) => value
            .parse()
            .is_ok_and(|found: PublishedKey| wanted.as_ref().is_some_and(|key| key.key == found.key)),
        ("dmarc", _) => dmarc::record::Record::parse(value).is_some(),
        ("spf", _) => value.starts_with("v=spf1"),
        ("mta-sts", _) => value.starts_with("v=STSv1"),
        ("tls-rpt", _) => value.starts_with("v=TLSRPTv1"),
        _ => false,
    };
    let (fitting, others): (Vec<_>, Vec<_>) = values.into_iter().partition(fits);
    // TXT records at the domain itself have many purposes: without SPF among them, SPF is absent.
    match (fitting.is_empty(), record.purpose) {
        (false, _) => Published::Fitting(fitting),
        (true, "spf") => Published::Absent,
        (true, _) => Published::Other(others),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(purpose: &'static str, value: &str, published: &[&str], expected: &str) {
        let record = Record::new(purpose, "x.example".into(), "TXT", value.into());
        let found = compare(&record, published.iter().map(|text| (*text).to_owned()).collect());
        let found = serde_json::to_value(found).unwrap()["is"].as_str().unwrap().to_owned();
        assert_eq!(found, expected, "{purpose} {published:?}");
    }

    #[test]
    fn records_with_the_same_effect_fit() {
        check("spf", "v=spf1 -all", &["v=spf1 -all"], "same");
        check("spf", "v=spf1 -all", &["hello", "v=spf1 a -all"], "fitting");
        check("spf", "v=spf1 -all", &["hello"], "absent");
        check("dmarc", "v=DMARC1; p=none", &["v=DMARC1; p=reject"], "fitting");
        check("dmarc", "v=DMARC1; p=none", &["p=reject"], "other");
        check("dkim", "v=DKIM1; k=rsa; p=AQID", &["v=DKIM1; p=AQ ID"], "fitting");
        check("dkim", "v=DKIM1; k=rsa; p=AQID", &["v=DKIM1; p=BQID"], "other");
        check(
            "tls-rpt",
            "v=TLSRPTv1; rua=mailto:a@x.example",
            &["v=TLSRPTv1; rua=mailto:b@x.example"],
            "fitting",
        );
    }

    #[test]
    fn a_line_can_be_pasted_into_a_zone() {
        let record = Record::new("mx", "x.example".into(), "MX", "10 mx.x.example.".into());
        assert_eq!(record.line(), "x.example. IN MX 10 mx.x.example.");
        let long = Record::new("dkim", "x.example".into(), "TXT", "a".repeat(300));
        let expected = format!("x.example. IN TXT \"{}\" \"{}\"", "a".repeat(255), "a".repeat(45));
        assert_eq!(long.line(), expected);
    }
}
