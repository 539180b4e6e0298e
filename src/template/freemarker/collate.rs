//! The order of words: letters first, then accents, then capitals.

/// What texts are sorted by: letters, accents, capitals.
pub(super) type Collated = (Vec<u32>, Vec<u32>, Vec<u32>);

/// Letters with accents, by what they are without.
const ACCENTED: [(char, &str); 15] = [
    ('a', "áàâäãåāăą"),
    ('c', "çćč"),
    ('d', "ďđ"),
    ('e', "éèêëēęě"),
    ('g', "ğ"),
    ('i', "íìîïī"),
    ('l', "ł"),
    ('n', "ñńň"),
    ('o', "óòôöõøō"),
    ('r', "ř"),
    ('s', "śšşß"),
    ('t', "ťţ"),
    ('u', "úùûüūů"),
    ('y', "ýÿ"),
    ('z', "źżž"),
];

/// What `text` is sorted by.
pub(super) fn collated(text: &str) -> Collated {
    let (mut letters, mut accents, mut capitals) = (Vec::new(), Vec::new(), Vec::new());
    for c in text.chars() {
        // Spaces and hyphens count after all letters.
        if matches!(c, ' ' | '\u{a0}' | '-') {
            accents.push(1);
            continue;
        }
        let lower = c.to_lowercase().next().unwrap_or(c);
        let (base, accent) = without_accent(lower);
        let class = if base.is_alphabetic() {
            0x40_0000
        } else if base.is_numeric() {
            0x20_0000
        } else {
            0
        };
        letters.push(class + u32::from(base));
        accents.push(2 + accent);
        capitals.push(u32::from(c != lower));
    }
    (letters, accents, capitals)
}

/// A small letter without its accent, and a number for the accent.
fn without_accent(c: char) -> (char, u32) {
    for (base, accented) in ACCENTED {
        if let Some(at) = accented.chars().position(|accented| accented == c) {
            return (base, u32::try_from(at).map_or(0, |at| at + 1));
        }
    }
    (c, 0)
}
