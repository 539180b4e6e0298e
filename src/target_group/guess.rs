//! Guesses the encoding of text that is not UTF-8, or says that it can't be told.
//!
//! `chardetng` guesses as browsers do. A browser shows garbled text to somebody who notices; here
//! it would be mailed. So a guess must also read like text (case, scripts, no signs inside words),
//! and little evidence must not read as well in another encoding.

use std::collections::BTreeSet;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_15, MACINTOSH, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
    WINDOWS_1257, X_MAC_CYRILLIC,
};

/// Places of the world with an encoding of their own: what the detector would take the text for, if
/// it came from there, is another reading of it.
const PLACES: [&str; 16] =
    ["pl", "cz", "ru", "jp", "cn", "tw", "kr", "gr", "tr", "lt", "il", "th", "vn", "de", "hk", "ir"];

/// Read in any case. The detector does not know the last three.
const ALWAYS_TRIED: [&Encoding; 5] = [WINDOWS_1250, ISO_8859_2, ISO_8859_15, MACINTOSH, X_MAC_CYRILLIC];

/// With fewer different words than this, a second reading that makes sense leaves the matter open.
const ENOUGH_WORDS: usize = 3;
/// Western and Central European encodings differ in few letters: so many words must have one.
const TELLING_WORDS: usize = 2;
/// One odd word in so many: lists hold some rubbish.
const ODD_ONE_IN: usize = 20;

/// So many readings are shown of a text whose encoding can't be told.
const READINGS_SHOWN: usize = 8;

/// Text whose encoding can't be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsure {
    /// How it reads, in the encodings that it may be in.
    pub readings: Vec<(&'static Encoding, String)>,
}

/// Whether `lines`, which are ASCII, are Japanese in ISO-2022-JP, whose escape sequences are ASCII.
pub(super) fn is_iso_2022_jp(lines: &[u8]) -> bool {
    lines.contains(&0x1b) && detector(lines).guess(None, Utf8Detection::Deny) == encoding_rs::ISO_2022_JP
}

/// The encoding of `lines`, which hold bytes beyond ASCII and are not UTF-8.
pub(super) fn guess(lines: &[u8]) -> Result<&'static Encoding, Unsure> {
    let detector = detector(lines);
    let first = Reading::of(known_as(detector.guess(None, Utf8Detection::Deny)), lines);
    let mut others: Vec<Reading> = Vec::new();
    let hinted = PLACES.map(|place| known_as(detector.guess(Some(place.as_bytes()), Utf8Detection::Deny)));
    for table in hinted.into_iter().chain(ALWAYS_TRIED) {
        if others.iter().all(|other| other.table != table) {
            others.push(Reading::of(table, lines));
        }
    }
    others.retain(|other| other.text != first.text && other.is_plausible());
    let find = |table: &'static Encoding| others.iter().find(|other| other.table == table);

    // The sign of currencies was replaced by the euro sign in ISO-8859-15.
    let euro = first.text.contains('¤') && !lines.iter().any(|byte| matches!(byte, 0x80..=0x9f));
    if let Some(latin9) = find(ISO_8859_15).filter(|_| euro) {
        return Ok(latin9.table);
    }
    if !first.is_plausible() {
        let rest: Vec<_> = [ISO_8859_15, MACINTOSH, X_MAC_CYRILLIC].into_iter().filter_map(find).collect();
        return match rest.as_slice() {
            [only] if only.words.len() >= ENOUGH_WORDS => Ok(only.table),
            _ => Err(unsure(None, &others)),
        };
    }
    let rivals = others.iter().filter(|other| first.leaves_open(other)).count();
    if rivals == 0 { Ok(first.table) } else { Err(unsure(Some(&first), &others)) }
}

fn detector(lines: &[u8]) -> EncodingDetector {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(lines, true);
    detector
}

/// The superset of an encoding, which reads the same texts.
fn known_as(table: &'static Encoding) -> &'static Encoding {
    if table == GBK { GB18030 } else { table }
}

fn unsure(first: Option<&Reading>, others: &[Reading]) -> Unsure {
    let mut readings: Vec<(&'static Encoding, String)> = Vec::new();
    for reading in first.into_iter().chain(others) {
        if readings.iter().all(|(_, other)| *other != reading.first_word) {
            readings.push((reading.table, reading.first_word.clone()));
        }
    }
    readings.truncate(READINGS_SHOWN);
    Unsure { readings }
}

/// A text, as it is if it is in some encoding.
struct Reading {
    table: &'static Encoding,
    text: String,
    /// The first word that is not ASCII.
    first_word: String,
    /// The different words that are not ASCII.
    words: BTreeSet<String>,
    /// How many of them no language writes like this.
    odd: usize,
}

impl Reading {
    fn of(table: &'static Encoding, lines: &[u8]) -> Self {
        let text = table.decode_without_bom_handling(lines).0.into_owned();
        let between = |c: char| c.is_ascii() && !(c.is_ascii_alphanumeric() || matches!(c, '\'' | '-' | '.'));
        let words = text.split(between).filter(|word| !word.is_ascii()).map(str::to_owned);
        let words: Vec<String> = words.collect();
        let first_word = words.first().cloned().unwrap_or_default();
        let words = BTreeSet::from_iter(words);
        let odd = words.iter().filter(|word| is_odd(word)).count();
        Self { table, text, first_word, words, odd }
    }

    fn is_plausible(&self) -> bool {
        self.odd * ODD_ONE_IN <= self.words.len()
    }

    /// Whether the text may as well be `other`, a plausible reading, as this one.
    fn leaves_open(&self, other: &Self) -> bool {
        let central = [WINDOWS_1250, ISO_8859_2].contains(&other.table);
        if self.table == WINDOWS_1252 && central {
            // Hungarian has `ő` and `ű` where Portuguese and Estonian have `õ`, and French has `û`.
            let mut differing = self.text.chars().zip(other.text.chars()).filter(|(own, other)| own != other);
            let hungarian = differing.all(|(own, _)| matches!(own, 'õ' | 'û' | 'Õ' | 'Û'));
            return hungarian || self.differing_words(other) < TELLING_WORDS;
        }
        let alike = [
            (WINDOWS_1252, WINDOWS_1257),
            (WINDOWS_1250, WINDOWS_1257),
            (WINDOWS_1250, ISO_8859_2),
            (ISO_8859_2, WINDOWS_1250),
            (WINDOWS_1251, X_MAC_CYRILLIC),
        ];
        if alike.contains(&(self.table, other.table)) {
            return true;
        }
        if other.table == ISO_8859_15 && !other.text.contains(is_latin9_letter) {
            return false;
        }
        // Signs alone, such as quotation marks and `€`, are what office programs write.
        let signs =
            self.table == WINDOWS_1252 && !self.text.contains(|c: char| !c.is_ascii() && c.is_alphabetic());
        !signs && self.words.len() < ENOUGH_WORDS
    }

    fn differing_words(&self, other: &Self) -> usize {
        self.words.difference(&other.words).count()
    }
}

/// The letters of ISO-8859-15 that ISO-8859-1 lacks.
fn is_latin9_letter(c: char) -> bool {
    matches!(c, 'Š' | 'š' | 'Ž' | 'ž' | 'Œ' | 'œ' | 'Ÿ')
}

/// Signs before a word, and after it.
const OPENING: [char; 9] = ['¿', '¡', '«', '»', '‹', '›', '“', '„', '‚'];
const CLOSING: [char; 11] = ['«', '»', '‹', '›', '“', '”', '…', '®', '™', '²', '°'];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Thai,
    East,
}

fn script(c: char) -> Option<Script> {
    Some(match c {
        'a'..='z' | 'A'..='Z' | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ɏ' | 'Ḁ'..='ỿ' | 'ﬁ' | 'ﬂ' => {
            Script::Latin
        }
        'Ͱ'..='Ͽ' => Script::Greek,
        'Ѐ'..='ԯ' => Script::Cyrillic,
        '\u{590}'..='\u{5ff}' => Script::Hebrew,
        '\u{600}'..='\u{6ff}' => Script::Arabic,
        '\u{e00}'..='\u{e7f}' => Script::Thai,
        '\u{1100}'..='\u{11ff}'
        | '\u{2e80}'..='\u{9fff}'
        | '가'..='힣'
        | '豈'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}' => Script::East,
        _ => return None,
    })
}

/// Whether no language writes a word like this: broken bytes, scripts mixed, capitals inside, signs
/// between letters.
fn is_odd(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or(' ');
    chars.iter().enumerate().any(|(index, &c)| {
        let (before, next) = (at(index.wrapping_sub(1)), at(index + 1));
        let odd_before = match (script(before), script(c)) {
            // Trade names in East Asian texts aside.
            (Some(Script::Latin), Some(Script::East)) => {
                before.is_ascii_lowercase() && next.is_ascii_lowercase()
            }
            (Some(Script::East), Some(Script::Latin)) => false,
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        odd_before
            || match c {
                '\u{80}'..='\u{9f}' | char::REPLACEMENT_CHARACTER | '\u{e000}'..='\u{f8ff}' | '¤' => true,
                _ if c.is_ascii() => c.is_uppercase() && !before.is_ascii() && is_lower(before),
                '’' => !is_apostrophe(&chars, index),
                '‘' | '‚' if before == ' ' => is_lower(next) && !chars[index + 1..].contains(&'’'),
                '–' | '—' | '‘' | '“' | '„' => is_lower(before) && is_lower(next),
                '€' => next.is_alphabetic(),
                _ if c.is_uppercase() => is_lower(before),
                _ if is_lower(c) => {
                    let among_capitals = before.is_uppercase() && at(index.wrapping_sub(2)).is_uppercase();
                    among_capitals && (next.is_uppercase() || next == ' ' && script(c) != Some(Script::Latin))
                }
                _ if c.is_alphabetic() || script(c).is_some() || matches!(c, '·' | '\u{ad}' | '\u{a0}') => {
                    false
                }
                _ => {
                    before.is_alphabetic() && next.is_alphabetic()
                        || is_lower(before) && next == ' ' && !CLOSING.contains(&c)
                        || before == ' ' && is_lower(next) && !OPENING.contains(&c)
                }
            }
    })
}

/// `ß` and the like have no capital in use: they go with either case.
fn is_lower(c: char) -> bool {
    c.is_lowercase() && !matches!(c, 'ß' | 'ª' | 'º')
}

/// As in `O’Brien`, `Don’t`, `women’s`, and at a word's end.
fn is_apostrophe(chars: &[char], index: usize) -> bool {
    let before = chars[..index].iter().rev().take_while(|c| c.is_alphabetic()).count();
    let next: Vec<char> = chars[index + 1..].iter().copied().take_while(|c| c.is_alphabetic()).collect();
    match next.as_slice() {
        [] => true,
        [first, ..] if first.is_uppercase() => true,
        ['s' | 't' | 'd' | 'm'] | ['r', 'e'] | ['v', 'e'] | ['l', 'l'] => true,
        _ => before <= 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of these words in this encoding, one a row.
    fn list(label: &str, words: &str) -> Vec<u8> {
        let table = Encoding::for_label(label.as_bytes()).unwrap();
        let mut lines = Vec::new();
        for (number, word) in words.split(' ').enumerate() {
            let (bytes, _, lost) = table.encode(word);
            assert!(!lost, "{word} is not in {label}");
            lines.extend_from_slice(format!("a{number}@x.example;").as_bytes());
            lines.extend_from_slice(&bytes);
            lines.extend_from_slice(b";ok\n");
        }
        lines
    }

    #[test]
    fn names_are_read_as_they_are_written_or_not_at_all() {
        let mut sure = 0;
        for (label, words) in SURE {
            let lines = list(label, words);
            let expected = Encoding::for_label(label.as_bytes()).unwrap().decode(&lines).0;
            match guess(&lines) {
                Ok(table) => assert_eq!(table.decode(&lines).0, expected, "{label} as {}", table.name()),
                Err(unsure) => panic!("{label} {words}: {unsure:?}"),
            }
            sure += 1;
            // With fewer of them it may be unsure, never wrong.
            let words: Vec<&str> = words.split(' ').collect();
            for count in 1..words.len() {
                for some in words.windows(count) {
                    let lines = list(label, &some.join(" "));
                    if lines.is_ascii() {
                        continue;
                    }
                    let expected = Encoding::for_label(label.as_bytes()).unwrap().decode(&lines).0;
                    if let Ok(table) = guess(&lines) {
                        assert_eq!(
                            table.decode(&lines).0,
                            expected,
                            "{some:?} in {label} as {}",
                            table.name()
                        );
                    }
                }
            }
        }
        assert_eq!(sure, SURE.len());
    }

    const SURE: &[(&str, &str)] = &[
        ("windows-1252", "José García Begoña Muñoz Íñigo Pérez Sofía Núñez Andrés"),
        ("windows-1252", "François Hélène Lefèvre Benoît Géraldine Besançon Étienne Noël"),
        ("windows-1252", "Björn Åström Søren Kjær Åse Jørgensen Göran Ærø"),
        ("windows-1252", "João Conceição Antônio Simões Gonçalves Luís Magalhães"),
        ("windows-1252", "Jürgen Groß Günther Köhler Bärbel Äpfel MÜLLER"),
        ("windows-1252", "Zoë"),
        ("windows-1252", "O’Brien Don’t “Hi” €5"),
        ("windows-1250", "Łukasz Wiśniewski Małgorzata Żółć Wójcik Kamińska Dąbrowski"),
        ("windows-1250", "Jiří Dvořák Tomáš Novák Šárka Černá"),
        ("windows-1251", "Иван Петров Ольга Сидорова Владимир Мария ИВАНОВ ПЁТР"),
        ("koi8-r", "Иван Петров Ольга Сидорова Владимир Мария"),
        ("x-mac-cyrillic", "Иван Петров Ольга Сидорова Владимир"),
        ("iso-8859-5", "Иван Петров Ольга Сидорова Владимир"),
        ("iso-8859-2", "Łukasz Wiśniewski Małgorzata Żółć Dąbrowski"),
        ("iso-8859-15", "Œuvre cœur Šimon €5 Zoë"),
        ("shift_jis", "山田太郎 鈴木花子 佐藤 田中"),
        ("euc-jp", "山田太郎 鈴木花子 佐藤 田中"),
        ("gb18030", "张伟 王芳 李娜 刘洋"),
        ("big5", "陳大文 張偉 林志明"),
        ("euc-kr", "김철수 이영희 박지성"),
        ("macintosh", "José García Begoña Muñoz Íñigo Pérez"),
        ("macintosh", "Jürgen Groß Günther Köhler Bärbel Äpfel"),
        ("macintosh", "François Hélène Lefèvre Benoît"),
        ("windows-1254", "Ayşe Yılmaz Gülşen Çiğdem İbrahim Şükrü"),
        ("windows-1253", "Γιώργος Παπαδόπουλος Μαρία"),
        ("windows-1255", "דוד כהן משה"),
        ("windows-874", "สมชาย ใจดี สมหญิง"),
    ];

    #[test]
    fn what_may_be_several_things_is_not_guessed() {
        for (label, words) in [
            ("windows-1252", "Peña"),
            ("windows-1250", "László Kovács Erzsébet Szűcs Győző Tóth Szabó Kőszegi Fűzfa"),
            ("windows-1251", "Иван"),
            ("windows-1257", "Žydrūnas Šarūnas Jonavičius Butkevičiūtė Rūta Žukauskas"),
            ("gb18030", "刘洋"),
            ("shift_jis", "ﾔﾏﾀﾞ ﾀﾛｳ ｽｽﾞｷ"),
            ("macintosh", "Björn"),
        ] {
            assert!(guess(&list(label, words)).is_err(), "{label} {words}");
        }
    }
}
