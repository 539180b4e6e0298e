//! The return path of each recipient (VERP): a bounce identifies the row that it is about.
//!
//! `local+<token>@domain`, where the token is `run ‖ row ‖ tag` in letters and digits that survive
//! a change of case (the base 32 of RFC 4648 §6, in lower case): `run` are 7 bytes of the BLAKE3
//! hash of the run's id, `row` the plan's row in 4 bytes, `tag` the first 8 bytes of
//! `HMAC-SHA256(K, run ‖ row)` with `K = HMAC-SHA256(secret, "mailrun return path")`. Nobody
//! can forge one without the secret, so a made-up bounce suppresses nobody.

use ring::hmac::{self, Key};

use crate::kit::seal;
use crate::mail::Address;

const RUN_BYTES: usize = 7;
const TAG_BYTES: usize = 8;
const TOKEN_BYTES: usize = RUN_BYTES + 4 + TAG_BYTES;
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The letters of a token.
const TOKEN_LETTERS: usize = (TOKEN_BYTES * 8).div_ceil(5);

/// How tokens name a run.
pub type RunHash = [u8; RUN_BYTES];

/// Makes the return paths of a run.
#[derive(Debug)]
pub struct ReturnPaths {
    base: Address,
    /// `None` when all recipients share one return path.
    verp: Option<(Key, RunHash)>,
}

/// The local part leaves no room for a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` leaves no room for a recipient's token")]
pub struct NoRoom(String);

impl ReturnPaths {
    /// The return paths of the run `run_id`: `base` with a token, or `base` itself when `verp` is
    /// false.
    pub fn new(base: &Address, verp: bool, run_id: &str, secret: &[u8]) -> Result<Self, NoRoom> {
        let verp = verp.then(|| (key(secret), run_hash(run_id)));
        let paths = Self { base: base.clone(), verp };
        // Every token has the same length: if one fits, all do.
        paths.with_token(0).map(|_| paths)
    }

    /// The return path of a row of the plan.
    pub fn of(&self, row: u32) -> Address {
        self.with_token(row).expect("`new` has tried one, and all are of one length")
    }

    fn with_token(&self, row: u32) -> Result<Address, NoRoom> {
        let Some((key, run)) = &self.verp else { return Ok(self.base.clone()) };
        let mut bytes = [0; TOKEN_BYTES];
        bytes[..RUN_BYTES].copy_from_slice(run);
        bytes[RUN_BYTES..][..4].copy_from_slice(&row.to_be_bytes());
        let tag = hmac::sign(key, &bytes[..RUN_BYTES + 4]);
        bytes[RUN_BYTES + 4..].copy_from_slice(&tag.as_ref()[..TAG_BYTES]);
        let text = format!("{}+{}@{}", self.base.local(), encode(&bytes), self.base.domain());
        Address::parse(&text).map_err(|_| NoRoom(self.base.to_string()))
    }
}

/// The row of the run `run_id` that a return path names, when it was made with `secret`.
pub fn decode(secret: &[u8], run_id: &str, return_path: &Address) -> Option<u32> {
    let token = PathToken::of(return_path)?;
    token.row(secret).filter(|_| token.run() == run_hash(run_id))
}

/// The token of a return path: anybody may have written it until [`PathToken::row`] says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PathToken([u8; TOKEN_BYTES]);

impl PathToken {
    /// The token of a return path, if it has one.
    pub fn of(return_path: &Address) -> Option<Self> {
        let (_, token) = return_path.local().rsplit_once('+')?;
        decode_letters(token.as_bytes()).map(Self)
    }

    /// The token of the return path whose local part goes on with `text` after its `+`.
    pub fn at_start(text: &[u8]) -> Option<Self> {
        let (token, behind) = text.split_at_checked(TOKEN_LETTERS)?;
        behind.starts_with(b"@").then(|| decode_letters(token).map(Self))?
    }

    /// The hash of the run that it names.
    pub fn run(&self) -> RunHash {
        self.0[..RUN_BYTES].try_into().expect("a token is longer")
    }

    /// The row that it names, when it was made with `secret`.
    pub fn row(&self, secret: &[u8]) -> Option<u32> {
        let (said, tag) = self.0.split_at(RUN_BYTES + 4);
        let expected = hmac::sign(&key(secret), said);
        let row = said[RUN_BYTES..].try_into().expect("a row has four bytes");
        seal::same(tag, &expected.as_ref()[..TAG_BYTES]).then(|| u32::from_be_bytes(row))
    }
}

fn key(secret: &[u8]) -> Key {
    seal::derive(secret, "mailrun return path")
}

/// How tokens name the run `run_id`.
pub fn run_hash(run_id: &str) -> RunHash {
    blake3::hash(run_id.as_bytes()).as_bytes()[..RUN_BYTES].try_into().expect("a hash has 32 bytes")
}

fn encode(bytes: &[u8; TOKEN_BYTES]) -> String {
    let letter = |at: usize| {
        let bit = |n: usize| bytes.get(n / 8).map_or(0, |byte| byte >> (7 - n % 8) & 1);
        (0..5).fold(0, |value, n| value << 1 | bit(at * 5 + n))
    };
    (0..TOKEN_LETTERS).map(|at| char::from(LETTERS[usize::from(letter(at))])).collect()
}

fn decode_letters(text: &[u8]) -> Option<[u8; TOKEN_BYTES]> {
    let mut bytes = [0; TOKEN_BYTES];
    if text.len() != TOKEN_LETTERS {
        return None;
    }
    for (at, letter) in text.iter().enumerate() {
        let value = LETTERS.iter().position(|known| *known == letter.to_ascii_lowercase())?;
        for n in (0..5).filter(|n| value >> (4 - n) & 1 == 1) {
            let bit = at * 5 + n;
            *bytes.get_mut(bit / 8)? |= 1 << (7 - bit % 8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Address {
        Address::parse("bounces@mail.example.com").unwrap()
    }

    #[test]
    fn a_return_path_says_its_row() {
        let paths = ReturnPaths::new(&base(), true, "4f2a9c01bd7e", b"secret").unwrap();
        for row in [0, 1, 4_711, u32::MAX] {
            let path = paths.of(row);
            assert!(path.local().starts_with("bounces+") && path.local().len() <= 64, "{path}");
            assert_eq!(decode(b"secret", "4f2a9c01bd7e", &path), Some(row));
            let upper = Address::parse(&path.to_string().to_uppercase()).unwrap();
            assert_eq!(decode(b"secret", "4f2a9c01bd7e", &upper), Some(row), "some servers change the case");
        }
    }

    #[test]
    fn a_token_is_found_behind_its_plus() {
        let path = ReturnPaths::new(&base(), true, "run", b"secret").unwrap().of(7).to_string();
        let token = PathToken::of(&Address::parse(&path).unwrap()).unwrap();
        let (_, behind) = path.split_once('+').unwrap();
        assert_eq!(PathToken::at_start(behind.as_bytes()), Some(token));
        assert_eq!(
            (token.run(), token.row(b"secret"), token.row(b"other")),
            (run_hash("run"), Some(7), None)
        );
        for other in [&behind[1..], &behind[..20], &behind.replace('@', "a@")] {
            assert_eq!(PathToken::at_start(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn none_can_be_forged() {
        let path = ReturnPaths::new(&base(), true, "run", b"secret").unwrap().of(7);
        assert_eq!(decode(b"another", "run", &path), None);
        assert_eq!(decode(b"secret", "another", &path), None);
        let local = path.local();
        for at in "bounces+".len()..local.len() - 1 {
            let mut changed = local.as_bytes().to_vec();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            let changed = format!("{}@example.com", String::from_utf8(changed).unwrap());
            assert_eq!(decode(b"secret", "run", &Address::parse(&changed).unwrap()), None, "letter {at}");
        }
    }

    #[test]
    fn without_verp_all_share_one() {
        let paths = ReturnPaths::new(&base(), false, "run", b"secret").unwrap();
        assert_eq!(paths.of(7), base());
    }

    #[test]
    fn a_long_local_part_is_refused_at_once() {
        let long = Address::parse(&format!("{}@example.com", "b".repeat(40))).unwrap();
        assert!(ReturnPaths::new(&long, true, "run", b"secret").is_err());
        assert!(ReturnPaths::new(&long, false, "run", b"secret").is_ok());
    }
}
