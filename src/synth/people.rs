//! The rows of a made-up list: each is a function of the seed and its number, so that a duplicate
//! can repeat any earlier one.

use std::fmt::Write;

use super::domains::{Domains, INTERNATIONAL};
use super::quotas::{Kind, Quotas};
use super::random::{Random, Shuffle};
use super::spec::Spec;

const FIRST_NAMES: [&str; 48] = [
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara", "Liam",
    "Maria", "Noah", "Olivia", "Paul", "Quentin", "Rosa", "Samuel", "Tilda", "Ursula", "Victor", "Wanda",
    "Xenia", "Yusuf", "Zara", "Alice", "Bruno", "Chiara", "Daniel", "Elif", "Frida", "Gabriel", "Hannah",
    "Ivan", "Julia", "Karim", "Lena", "Marta", "Nina", "Oscar", "Petra", "Rania", "Stefan", "Teresa",
    "Umberto", "Vera", "Walter",
];
const LAST_NAMES: [&str; 48] = [
    "Adams",
    "Baker",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "Garcia",
    "Hansen",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lopez",
    "Meier",
    "Novak",
    "Okafor",
    "Petrov",
    "Quinn",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Ueda",
    "Vogel",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zimmer",
    "Almeida",
    "Brandt",
    "Conti",
    "Dahl",
    "Eriksen",
    "Ferrari",
    "Gruber",
    "Horvat",
    "Ito",
    "Jovanovic",
    "Keller",
    "Lindberg",
    "Moreau",
    "Nowak",
    "Olsen",
    "Peeters",
    "Romero",
    "Santos",
    "Toth",
    "Varga",
    "Wagner",
    "Zhang",
];
/// First and last names beyond ASCII.
const OTHER_NAMES: [(&str, &str); 16] = [
    ("Jürgen", "Müller"),
    ("Zoë", "Größmann"),
    ("Łukasz", "Wójcik"),
    ("Åsa", "Sjöström"),
    ("José", "Núñez"),
    ("Çağla", "Öztürk"),
    ("Ørjan", "Bjørnstad"),
    ("Ольга", "Иванова"),
    ("Νίκος", "Παπαδόπουλος"),
    ("さくら", "佐藤"),
    ("伟", "王"),
    ("민준", "김"),
    ("Anna 🌸", "Weber"),
    ("Noé", "Lefèvre"),
    ("Tomáš", "Dvořák"),
    ("Đặng", "Nguyễn"),
];
const CITIES: [&str; 24] = [
    "Amsterdam",
    "Barcelona",
    "Copenhagen",
    "Dublin",
    "Edinburgh",
    "Frankfurt",
    "Ghent",
    "Hamburg",
    "Istanbul",
    "Jena",
    "Krakow",
    "Lisbon",
    "Milan",
    "Naples",
    "Oslo",
    "Prague",
    "Riga",
    "Stuttgart",
    "Tallinn",
    "Utrecht",
    "Vienna",
    "Warsaw",
    "York",
    "Zagreb",
];
const LANGUAGES: [&str; 8] = ["de", "en", "fr", "es", "it", "nl", "pl", "pt"];
const SEGMENTS: [&str; 5] = ["new", "regular", "premium", "dormant", "staff"];
const WORDS: [&str; 32] = [
    "amber", "basket", "candle", "dawn", "elm", "field", "garden", "harbour", "island", "jacket", "kettle",
    "lantern", "meadow", "needle", "orchard", "paper", "quilt", "river", "saddle", "table", "umbrella",
    "valley", "window", "yarn", "bridge", "cloud", "door", "fern", "glass", "hill", "lake", "stone",
];
/// The most words in a further text column.
const MOST_WORDS: u64 = 6;
/// Attempts to draw an earlier row to repeat, before falling back to the first one.
const DRAWS: usize = 32;

/// Makes rows.
pub(super) struct People<'a> {
    spec: &'a Spec,
    quotas: Quotas,
    kinds: Shuffle,
    places: Shuffle,
    domains: Domains,
    /// The first row that a duplicate can repeat, and the row it swapped kinds with.
    swap: Option<(u64, u64)>,
}

/// One row. Its cells are reused for the next one.
pub(super) struct Row {
    pub kind: Kind,
    /// The index of its address's domain, below [`People::domains`]; only for kinds with an address
    /// of their own.
    pub domain: Option<usize>,
    pub cells: Vec<String>,
}

impl<'a> People<'a> {
    pub(super) fn new(spec: &'a Spec, quotas: Quotas) -> Self {
        let own = spec.rows - quotas.invalid - quotas.duplicates;
        let mut people = Self {
            spec,
            quotas,
            kinds: Shuffle::new(spec.rows, spec.seed, 0),
            places: Shuffle::new(own, spec.seed, 1),
            domains: Domains::new(&spec.domain_mix, spec.domains, own),
            swap: None,
        };
        if quotas.duplicates > 0 {
            // A duplicate needs an earlier row to repeat: the first plain row comes before the
            // first duplicate.
            let first = |kind| {
                (0..spec.rows)
                    .find(|row| people.kind(people.place(*row)) == kind)
                    .expect("there is one of each")
            };
            let (duplicate, plain) = (first(Kind::Duplicate), first(Kind::Plain));
            people.swap = Some((if plain < duplicate { plain } else { duplicate }, plain));
        }
        people
    }

    /// The number of possible domains.
    pub(super) fn domains(&self) -> usize {
        self.domains.len() + INTERNATIONAL.len()
    }

    /// Makes the row with this number, from 0.
    pub(super) fn make(&self, number: u64, row: &mut Row) {
        let place = self.place(number);
        row.kind = self.kind(place);
        row.domain = None;
        row.cells.iter_mut().for_each(String::clear);
        let mut random = Random::of_row(self.spec.seed, number);
        match row.kind {
            Kind::Plain | Kind::NonAscii | Kind::Smtputf8 => {
                row.domain = Some(self.person(number, place, &mut row.cells));
            }
            Kind::Duplicate => {
                let earlier = self.earlier(number, &mut random);
                self.person(earlier, self.place(earlier), &mut row.cells);
                if random.below(2) == 0 {
                    let email = &mut row.cells[1];
                    let at = email.rfind('@').expect("the row that it repeats has an address");
                    email[at..].make_ascii_uppercase();
                }
            }
            Kind::Invalid => {
                self.person(number, place, &mut row.cells);
                row.cells[1] = self.spoiled(number, &mut random);
            }
        }
        write!(row.cells[0], "{}", number + 1).expect("a String takes any text");
        if let Some(token) = row.cells.get_mut(6) {
            write!(token, "{:016x}", random.next()).expect("a String takes any text");
        }
    }

    /// Where the shuffle put a row.
    fn place(&self, number: u64) -> u64 {
        let number = match self.swap {
            Some((first, plain)) if number == first => plain,
            Some((first, plain)) if number == plain => first,
            Some(_) | None => number,
        };
        self.kinds.place(number)
    }

    fn kind(&self, place: u64) -> Kind {
        self.quotas.kind(place)
    }

    /// A plain row before this one.
    fn earlier(&self, number: u64, random: &mut Random) -> u64 {
        let (first, _) = self.swap.expect("it is known where there are duplicates");
        (0..DRAWS)
            .map(|_| random.below(number))
            .find(|row| self.kind(self.place(*row)) == Kind::Plain)
            .unwrap_or(first)
    }

    /// Fills in the person of a row; returns the domain of the address.
    fn person(&self, number: u64, place: u64, cells: &mut [String]) -> usize {
        let kind = self.kind(place);
        let mut random = Random::of_row(self.spec.seed, !number);
        let (first, last) = (random.one_of(&FIRST_NAMES), random.one_of(&LAST_NAMES));
        let (shown_first, shown_last) = match kind {
            Kind::NonAscii | Kind::Smtputf8 => random.one_of(&OTHER_NAMES),
            Kind::Plain | Kind::Duplicate | Kind::Invalid => (first, last),
        };
        // The rows with an address of their own come last in the shuffle.
        let before = self.quotas.invalid + self.quotas.duplicates;
        let mut domain = match place.checked_sub(before) {
            Some(place) => self.domains.of(self.places.place(place)),
            None => 0,
        };
        let international = random.below(4) == 0 && kind == Kind::NonAscii && self.domains.is_made_up(domain);
        if international {
            domain = self.domains.len() + random.below(INTERNATIONAL.len() as u64) as usize;
        }
        for (index, cell) in cells.iter_mut().enumerate().skip(1) {
            match index {
                1 => {
                    match kind {
                        Kind::Smtputf8 => {
                            cell.extend(shown_first.chars().filter(|c| c.is_alphabetic()));
                            cell.push_str(if cell.is_ascii() { "é" } else { "" });
                        }
                        Kind::Plain | Kind::NonAscii | Kind::Duplicate | Kind::Invalid => {
                            let form = random.below(4);
                            cell.push_str(first);
                            if form > 0 {
                                cell.extend([".", last]);
                            }
                            if form < 3 {
                                cell.make_ascii_lowercase();
                            }
                        }
                    }
                    // The number makes the address unique: the names before it end in letters.
                    write!(cell, "{}@", number + 1).expect("a String takes any text");
                    cell.push_str(self.domain_name(domain));
                }
                2 => cell.extend([shown_first, " ", shown_last]),
                3 => cell.push_str(shown_first),
                4 => cell.push_str(random.one_of(&CITIES)),
                5 => cell.push_str(random.one_of(&LANGUAGES)),
                // The token is the row's, not the person's.
                6 => {}
                7 => cell.push_str(random.one_of(&SEGMENTS)),
                _ => {
                    for n in 0..=random.below(MOST_WORDS) {
                        cell.extend([if n == 0 { "" } else { " " }, random.one_of(&WORDS)]);
                    }
                }
            }
        }
        domain
    }

    fn domain_name(&self, domain: usize) -> &str {
        match domain.checked_sub(self.domains.len()) {
            Some(international) => INTERNATIONAL[international],
            None => self.domains.name(domain),
        }
    }

    /// An address that can't be sent to, as found in real lists.
    fn spoiled(&self, number: u64, random: &mut Random) -> String {
        let name = random.one_of(&FIRST_NAMES).to_ascii_lowercase();
        let last = random.one_of(&LAST_NAMES).to_ascii_lowercase();
        let number = number + 1;
        let domain = self.domains.name(random.below(self.domains.len() as u64) as usize);
        match random.below(16) {
            0 => String::new(),
            1 => "n/a".to_owned(),
            2 => format!("{name}{number}.{domain}"),
            3 => format!("{name}{number}@@{domain}"),
            4 => format!("{name} {last}{number}@{domain}"),
            5 => format!("{name}..{last}{number}@{domain}"),
            6 => format!("{name}{number}.@{domain}"),
            7 => format!("{name}{number}@"),
            8 => format!("@{domain}"),
            9 => format!("{name}{number}@{}", domain.replace('.', ",")),
            10 => format!("{name}{number}@-{domain}"),
            11 => format!("{name}{number}@localhost"),
            12 => format!("{name}{number}@192.0.2.{}", number % 256),
            13 => format!("{}{number}@{domain}", "x".repeat(64)),
            14 => format!("{name} <{name}{number}@{domain}>"),
            _ => format!("\"{name}, {last}\"@{domain}"),
        }
    }
}
