//! Zone files (RFC 1035 §5) and what a resolver would answer from them. Knows nothing of sockets.
//!
//! All files together are the whole DNS: names that none of them has do not exist. CNAMEs are
//! followed, wildcards expanded (RFC 4592), and empty non-terminals exist (RFC 8020). Delegations
//! are not followed: an NS record is a record like any other.
//!
//! A name with a TXT record `mailrun-fault=servfail`, `=refused` or `=timeout` fails in that way
//! for every type, so that a rehearsal can show what happens to such domains.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SOA;
use hickory_resolver::proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::txt::Parser;

use super::error::ResolverError;

/// The TTL of records in files that name none.
const DEFAULT_TTL: u32 = 3_600;
/// CNAMEs followed for one answer.
const LONGEST_CHAIN: usize = 8;
/// The prefix of a TXT record that makes its name fail.
const FAULT: &str = "mailrun-fault=";

/// The names of all zone files.
#[derive(Debug, Default)]
pub(super) struct Zones {
    names: HashMap<LowerName, Node>,
}

#[derive(Debug, Default)]
struct Node {
    records: BTreeMap<RecordType, Vec<Record>>,
    fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    ServFail,
    Refused,
    Timeout,
}

/// The answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// These records; if there are none, with the SOA record whose TTL holds for that (RFC 2308
    /// §3).
    Records { code: ResponseCode, answers: Vec<Record>, soa: Option<Box<Record>> },
    /// Nothing at all.
    Silence,
}

impl Zones {
    /// Reads a zone file, or all zone files of a folder.
    pub(super) fn load(path: &Path) -> Result<Self, ResolverError> {
        let bad =
            |path: &Path, problem: String| ResolverError::Zone { path: path.display().to_string(), problem };
        let mut zones = Self::default();
        for file in files(path).map_err(|error| bad(path, error.to_string()))? {
            let text = fs::read_to_string(&file).map_err(|error| bad(&file, error.to_string()))?;
            zones.add(&text, &file).map_err(|problem| bad(&file, problem))?;
        }
        zones.add_ancestors();
        Ok(zones)
    }

    /// `file` gives the origin, unless the text has an `$ORIGIN`, and the folder that `$INCLUDE`
    /// starts from.
    fn add(&mut self, text: &str, file: &Path) -> Result<(), String> {
        let text = format!("$TTL {DEFAULT_TTL}\n{}\n", super::unfold::unfold(text));
        let parser = Parser::new(text, Some(file.to_owned()), Some(origin_of(file)));
        let (_, sets) = parser.parse().map_err(|error| error.to_string())?;
        for (key, set) in sets {
            let node = self.names.entry(key.name().clone()).or_default();
            for record in set.records_without_rrsigs() {
                if let Some(fault) = fault_of(record) {
                    node.fault = Some(fault?);
                    continue;
                }
                node.records.entry(record.record_type()).or_default().push(record.clone());
            }
        }
        Ok(())
    }

    /// RFC 8020: a name exists when one below it does, up to the apex of its zone.
    fn add_ancestors(&mut self) {
        let owners: Vec<LowerName> = self.names.keys().cloned().collect();
        for owner in owners {
            let mut name = owner;
            loop {
                let apex =
                    self.names.get(&name).is_some_and(|node| node.records.contains_key(&RecordType::SOA));
                if apex || name.is_root() || name.base_name().is_root() {
                    break;
                }
                name = name.base_name();
                self.names.entry(name.clone()).or_default();
            }
        }
    }

    /// The answer of a resolver with these zones.
    pub(super) fn answer(&self, name: &Name, record: RecordType) -> Answer {
        let mut answers = Vec::new();
        let mut owner = name.clone();
        for _ in 0..=LONGEST_CHAIN {
            let Some(node) = self.find(&owner) else {
                return self.negative(ResponseCode::NXDomain, answers, &owner);
            };
            match node.fault {
                Some(Fault::ServFail) => return Answer::failed(ResponseCode::ServFail),
                Some(Fault::Refused) => return Answer::failed(ResponseCode::Refused),
                Some(Fault::Timeout) => return Answer::Silence,
                None => {}
            }
            // The record of a wildcard takes the name that was asked for.
            let own = |record: &Record| {
                let mut record = record.clone();
                record.name = owner.clone();
                record
            };
            if let Some(records) = node.records.get(&record) {
                answers.extend(records.iter().map(own));
                return Answer::Records { code: ResponseCode::NoError, answers, soa: None };
            }
            let alias = node.records.get(&RecordType::CNAME).and_then(|records| records.first());
            let Some(alias) = alias else {
                return self.negative(ResponseCode::NoError, answers, &owner);
            };
            answers.push(own(alias));
            let RData::CNAME(target) = &alias.data else { return Answer::failed(ResponseCode::ServFail) };
            owner = target.0.clone();
        }
        Answer::failed(ResponseCode::ServFail)
    }

    /// The name itself, or the wildcard of its closest encloser (RFC 4592 §3.3.1).
    fn find(&self, name: &Name) -> Option<&Node> {
        let name = LowerName::new(name);
        if let Some(node) = self.names.get(&name) {
            return Some(node);
        }
        let mut encloser = name;
        while !encloser.is_root() {
            encloser = encloser.base_name();
            if self.names.contains_key(&encloser) {
                let wildcard = Name::from_ascii("*").ok()?.append_domain(&Name::from(encloser)).ok()?;
                return self.names.get(&LowerName::new(&wildcard));
            }
        }
        None
    }

    fn negative(&self, code: ResponseCode, answers: Vec<Record>, owner: &Name) -> Answer {
        Answer::Records { code, answers, soa: Some(Box::new(self.soa_above(owner))) }
    }

    /// The SOA record of the zone that `name` is in; a made-up one of the root if no file has one.
    fn soa_above(&self, name: &Name) -> Record {
        let mut zone = LowerName::new(name);
        loop {
            let soa = self.names.get(&zone).and_then(|node| node.records.get(&RecordType::SOA)?.first());
            if let Some(soa) = soa {
                return soa.clone();
            }
            if zone.is_root() {
                let root = Name::root();
                let ttl = DEFAULT_TTL;
                let soa = SOA::new(root.clone(), root.clone(), 1, 7_200, 900, 1_209_600, ttl);
                return Record::from_rdata(root, ttl, RData::SOA(soa));
            }
            zone = zone.base_name();
        }
    }
}

impl Answer {
    fn failed(code: ResponseCode) -> Self {
        Self::Records { code, answers: Vec::new(), soa: None }
    }
}

fn fault_of(record: &Record) -> Option<Result<Fault, String>> {
    let RData::TXT(txt) = &record.data else { return None };
    let text = String::from_utf8_lossy(txt.txt_data.first()?);
    Some(match text.strip_prefix(FAULT)? {
        "servfail" => Ok(Fault::ServFail),
        "refused" => Ok(Fault::Refused),
        "timeout" => Ok(Fault::Timeout),
        other => Err(format!("`{FAULT}{other}` of `{}` is none of servfail, refused, timeout", record.name)),
    })
}

/// The file itself, or the files of a folder by name.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if file.is_file() && !hidden {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The origin of `example.com.zone`, `example.com.db` and `example.com` is `example.com.`; of other
/// names it is the root.
fn origin_of(file: &Path) -> Name {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let zone = [".zone", ".db"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let mut origin = match Name::from_ascii(zone) {
        Ok(origin) if zone.contains('.') && !zone.ends_with(".txt") => origin,
        Ok(_) | Err(_) => Name::root(),
    };
    origin.set_fqdn(true);
    origin
}
