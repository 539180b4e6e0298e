//! `[[egress]]`: the local addresses that mail leaves from.

use std::net::IpAddr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::Frequency;
use crate::mail::Domain;

/// One entry of `[[egress]]`. Connections are divided among all entries that serve the sender.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Egress {
    /// The local address to connect from.
    pub address: IpAddr,
    /// The name in EHLO; `delivery.ehlo` by default. It should be the name in the address's PTR
    /// record, and resolve to the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ehlo: Option<String>,
    /// The most messages that leave from it, to all sites together; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Frequency>,
    /// Its share of the connections, relative to the other entries.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// The pool that it belongs to. A registered sender may name a pool, and then uses only its
    /// addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The domains of `From` that it serves; all by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<String>,
    /// Daily caps while the address is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
}

/// How many messages a new address may send per day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WarmUp {
    /// The first day (UTC); nothing leaves from the address before it.
    #[serde(with = "day")]
    pub from: NaiveDate,
    /// The cap of the first day, the second and so on; after the last there is no cap.
    pub per_day: Vec<u64>,
}

/// A day, as TOML writes it (`2026-11-01`) or as text.
mod day {
    use chrono::NaiveDate;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Toml(toml::value::Datetime),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(day: &NaiveDate, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(day)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
        let text = match Written::deserialize(deserializer)? {
            Written::Toml(datetime) => datetime.to_string(),
            Written::Text(text) => text,
        };
        text.parse()
            .map_err(|_| serde::de::Error::custom(format_args!("`{text}` is not a day, such as 2026-11-01")))
    }
}

fn one() -> u32 {
    1
}

fn is_one(weight: &u32) -> bool {
    *weight == 1
}

impl Egress {
    /// True when mail from an address of `domain` may leave here.
    pub fn serves(&self, domain: &Domain) -> bool {
        self.senders.is_empty()
            || self.senders.iter().any(|served| served.eq_ignore_ascii_case(domain.as_str()))
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if !(1..=1_000).contains(&self.weight) {
            return Err(Mistake::new(
                "egress.weight",
                format!("a weight of {}", self.weight),
                "use 1 to 1000",
            ));
        }
        if let Some(bad) = self.senders.iter().find(|sender| Domain::parse(sender).is_err()) {
            return Err(Mistake::new(
                "egress.senders",
                format!("`{bad}` is not a domain"),
                "write the domain of From",
            ));
        }
        if self.warm_up.as_ref().is_some_and(|warm_up| warm_up.per_day.is_empty()) {
            return Err(Mistake::new(
                "egress.warm-up",
                "`per-day` is empty",
                "list the cap of each day, or leave `warm-up` out",
            ));
        }
        Ok(())
    }
}

impl WarmUp {
    /// The cap on `day`; `None` after the last day with a cap.
    pub fn cap(&self, day: NaiveDate) -> Option<u64> {
        match usize::try_from((day - self.from).num_days()) {
            Ok(number) => self.per_day.get(number).copied(),
            // Not begun yet.
            Err(_) => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_up_has_a_cap_for_each_of_its_days() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let warm_up = WarmUp { from: day(10), per_day: vec![500, 1_000] };
        assert_eq!(
            [9, 10, 11, 12].map(|number| warm_up.cap(day(number))),
            [Some(0), Some(500), Some(1_000), None]
        );
    }

    #[test]
    fn an_address_serves_the_senders_it_names_or_all() {
        let egress: Egress =
            toml::from_str("address = \"192.0.2.1\"\nsenders = [\"Mail.example.com\"]").unwrap();
        assert!(egress.serves(&Domain::parse("mail.example.com").unwrap()));
        assert!(!egress.serves(&Domain::parse("example.com").unwrap()));
        let egress: Egress =
            toml::from_str("address = \"192.0.2.1\"\nwarm-up = { from = 2026-11-01, per-day = [5] }")
                .unwrap();
        assert_eq!(egress.warm_up.unwrap().from.to_string(), "2026-11-01");
        let egress: Egress = toml::from_str("address = \"2001:db8::1\"\nrate = \"40/s\"").unwrap();
        assert!(egress.serves(&Domain::parse("example.com").unwrap()));
    }
}
