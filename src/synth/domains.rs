//! How addresses are distributed over domains.
//!
//! Made-up domains end in names reserved by RFC 2606 and RFC 6761, so mail to them reaches nobody.

use std::str::FromStr;

use super::share::millionths;
use crate::mail::Domain;

/// The largest number of made-up domains: their names are kept in memory.
pub const MOST_DOMAINS: u32 = 1_000_000;

/// Represents all made-up domains in a mix.
const REST: &str = "*";
/// The total weight: shares are in parts per million.
const ONE: u64 = 1_000_000;
const WORDS: [&str; 24] = [
    "mail",
    "post",
    "freemail",
    "inbox",
    "webpost",
    "briefkasten",
    "letters",
    "online",
    "city",
    "uni",
    "school",
    "shop",
    "garden",
    "studio",
    "works",
    "family",
    "club",
    "library",
    "bakery",
    "clinic",
    "museum",
    "transit",
    "harbour",
    "energy",
];
const ENDINGS: [&str; 5] = [".example", ".test", ".example.com", ".example.net", ".example.org"];

/// Internationalised domains, as people write them.
pub(super) const INTERNATIONAL: [&str; 8] = [
    "bücher.example",
    "köln-post.example",
    "例え.example",
    "пример.example",
    "παράδειγμα.example",
    "correo-ñ.test",
    "møte.example",
    "한국.example",
];

/// Domains with their weights, as in `gmail.com=40,gmx.de=20,*=40`; `*` are the made-up ones, by
/// Zipf's law. The default is `*` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainMix {
    /// In millionths.
    given: Vec<(Domain, u64)>,
    /// The weight of all made-up domains.
    rest: u64,
}

impl Default for DomainMix {
    fn default() -> Self {
        Self { given: Vec::new(), rest: ONE }
    }
}

impl FromStr for DomainMix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix = Self { given: Vec::new(), rest: 0 };
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, weight) = entry.split_once('=').ok_or_else(|| {
                format!("`{entry}` is not of the form `domain=weight`, such as `example.com=40`")
            })?;
            let (name, weight) = (name.trim(), weight.trim());
            let parts = millionths(weight.trim_end_matches('%')).ok_or_else(|| {
                format!("the weight `{weight}` of `{name}` is not a number, such as 40 or 0.5")
            })?;
            if name == REST {
                mix.rest += parts;
                continue;
            }
            let domain: Domain = name.parse().map_err(|error| format!("`{name}`: {error}"))?;
            if mix.given.iter().any(|(other, _)| *other == domain) {
                return Err(format!("`{domain}` is in the mix twice"));
            }
            mix.given.push((domain, parts));
        }
        if mix.rest == 0 && mix.given.iter().all(|(_, parts)| *parts == 0) {
            return Err("the mix has no domain with a weight above 0".to_owned());
        }
        Ok(mix)
    }
}

/// How many addresses each domain gets.
#[derive(Debug)]
pub(super) struct Domains {
    names: Vec<String>,
    /// From this index on, `names` are made up.
    made_up: usize,
    /// For each name, the first address after its share.
    ends: Vec<u64>,
}

impl Domains {
    /// Distributes `addresses` by weight: each domain gets its share, rounded up or down.
    pub(super) fn new(mix: &DomainMix, made_up: u32, addresses: u64) -> Self {
        let made_up = if mix.rest == 0 { 0 } else { u64::from(made_up) };
        let weights: Vec<u64> = mix.given.iter().map(|(_, parts)| *parts).chain([mix.rest]).collect();
        let mut dealt = deal(addresses, &weights);
        let rest = dealt.pop().expect("there is one for the rest");
        // Zipf's law: the n-th gets 1/n of what the first gets.
        dealt.extend(deal(rest, &(1..=made_up).map(|rank| (1 << 40) / rank).collect::<Vec<_>>()));
        let mut names: Vec<String> = mix.given.iter().map(|(domain, _)| domain.to_string()).collect();
        let given = names.len();
        let free = |name: &String| !mix.given.iter().any(|(domain, _)| domain.as_str() == name);
        names.extend((0..).map(name).filter(free).take(made_up as usize));
        let ends = dealt.into_iter().scan(0, |end, share| {
            *end += share;
            Some(*end)
        });
        Self { names, made_up: given, ends: ends.collect() }
    }

    /// The domain of the address with this index.
    pub(super) fn of(&self, place: u64) -> usize {
        self.ends.partition_point(|end| *end <= place).min(self.names.len() - 1)
    }

    pub(super) fn name(&self, domain: usize) -> &str {
        &self.names[domain]
    }

    pub(super) fn is_made_up(&self, domain: usize) -> bool {
        domain >= self.made_up
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

/// The name of the made-up domain of this number, from 0. The words end in letters, so no two are
/// the same.
fn name(number: u64) -> String {
    let words = WORDS.len() as u64;
    let (word, turn) = (WORDS[(number % words) as usize], number / words);
    let ending = ENDINGS[(number % 7 % 5) as usize];
    if turn == 0 { format!("{word}{ending}") } else { format!("{word}{turn}{ending}") }
}

/// Largest remainder method: each gets its share rounded down, and the rest goes to those that lost
/// most by rounding.
fn deal(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &u64| u128::from(total) * u128::from(*weight);
    let mut shares: Vec<u64> = weights.iter().map(|weight| (exact(weight) / sum) as u64).collect();
    let left = total - shares.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|n| (std::cmp::Reverse(exact(&weights[*n]) % sum), *n));
    for n in order.into_iter().take(left as usize) {
        shares[n] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_are_off_by_less_than_one() {
        assert_eq!(deal(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(deal(1_000, &[40, 20, 40]), [400, 200, 400]);
        assert_eq!(deal(7, &[5, 0, 5]), [4, 0, 3]);
        assert_eq!(deal(5, &[]), [0; 0]);
        let dealt = deal(999_983, &(1..=1_000).map(|rank| (1 << 40) / rank).collect::<Vec<u64>>());
        assert_eq!(dealt.iter().sum::<u64>(), 999_983);
    }

    #[test]
    fn mixes_as_they_are_typed() {
        let mix: DomainMix = "gmail.com=40, gmx.de=20%, *=40".parse().unwrap();
        let domains = Domains::new(&mix, 10, 1_000);
        assert_eq!(domains.len(), 12);
        let count = |name: &str| (0..1_000).filter(|place| domains.name(domains.of(*place)) == name).count();
        assert_eq!((count("gmail.com"), count("gmx.de")), (400, 200));
        assert!(!domains.is_made_up(1) && domains.is_made_up(2));
        let bad = |text: &str, why: &str| {
            let error = text.parse::<DomainMix>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        };
        bad("gmail.com", "`domain=weight`");
        bad("gmail.com=many", "`many`");
        bad("gmail.com=-1", "`-1`");
        bad("gmail=1", "not a fully qualified");
        bad("a.example=1,A.Example=2", "twice");
        bad("", "no domain");
        bad("*=0", "no domain");
    }

    #[test]
    fn made_up_domains_are_reserved_ones_and_differ() {
        let domains = Domains::new(&"post.test=1,*=1".parse().unwrap(), 5_000, 10);
        let mut names: Vec<&str> = (0..domains.len()).map(|n| domains.name(n)).collect();
        for name in names.iter().chain(&INTERNATIONAL) {
            assert!(name.parse::<Domain>().is_ok(), "{name}");
            let reserved = [".example", ".test", ".example.com", ".example.net", ".example.org"];
            assert!(reserved.iter().any(|ending| name.ends_with(ending)), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 5_001);
    }

    #[test]
    fn by_default_few_domains_have_most_addresses() {
        let domains = Domains::new(&DomainMix::default(), 1_000, 1_000_000);
        let first = (0..1_000_000).take_while(|place| domains.of(*place) == 0).count();
        assert!((133_000..134_500).contains(&first), "{first}");
    }
}
