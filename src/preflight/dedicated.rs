//! Whether a sender that asks for addresses of its own has enough of them.

use super::finding::{Finding, Id};
use crate::campaign::Campaign;

/// The fewest addresses that can stand in for each other.
const FEWEST: usize = 2;

/// A pool that is too small, where `[sender]` asks for dedicated addresses.
pub(crate) fn check(campaign: &Campaign) -> Option<Finding> {
    let addresses: Vec<_> = campaign.egress().map(|egress| egress.address.to_string()).collect();
    if !campaign.sender.dedicated || addresses.len() >= FEWEST {
        return None;
    }
    let seen = match addresses.first() {
        Some(only) => format!("`[sender] dedicated` asks for dedicated addresses, and there is only {only}"),
        None => "`[sender] dedicated` asks for dedicated addresses, and no `[[egress]]` names any".to_owned(),
    };
    let fix = "[[egress]] with a second `address` of this sender, in the same `pool` where it has one";
    Some(Finding::new(Id::DedicatedFew, seen).fix(fix))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn one_address_is_too_few_for_a_dedicated_pool() {
        let seen = |dedicated: bool, addresses: u8| {
            let egress: String = (0..addresses)
                .map(|n| format!("[[egress]]\naddress = \"192.0.2.{n}\"\nsenders = [\"example.com\"]\n"))
                .collect();
            let text = format!(
                "[campaign]\nid = \"x\"\n[sender]\nfrom = \"a@example.com\"\ndedicated = {dedicated}\n\
                 [target-group]\nfiles = [\"a.csv\"]\n[template]\nsubject = \"x\"\ntext = \"a.hbs\"\n\
                 [delivery]\nroute = \"mx\"\n{egress}[[egress]]\naddress = \"198.51.100.1\"\nsenders = [\"example.net\"]\n"
            );
            let text =
                if addresses == 0 { text.split("[[egress]]").next().unwrap().to_owned() } else { text };
            check(&Campaign::parse(&text, Path::new("campaign.toml")).unwrap()).map(|finding| finding.seen)
        };
        assert_eq!((seen(false, 1), seen(true, 2)), (None, None));
        assert!(seen(true, 1).unwrap().ends_with("there is only 192.0.2.0"));
        assert!(seen(true, 0).unwrap().ends_with("no `[[egress]]` names any"));
    }
}
