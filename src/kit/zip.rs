//! ZIP files (PKWARE APPNOTE 6.3.10) of a few files: made in memory, below 4 GiB, with nothing
//! of the machine or the time in them; and ZIP files of one entry that is encrypted with AES-256 as
//! WinZip does it (AE-2, <https://www.winzip.com/en/support/aes-encryption/>).
//!
//! WinZip's way leaves names and sizes readable, so whoever wants names hidden encrypts a ZIP.

use std::io::Write;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::{hmac, pbkdf2};
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// The bytes of a salt for AES-256.
pub(crate) const SALT: usize = 16;

/// WinZip's number of PBKDF2 rounds. It can't be changed, so passwords must be long.
const ROUNDS: NonZeroU32 = NonZeroU32::new(1_000).expect("it is not 0");
/// The bytes of each of the two keys: that of AES-256 and that of HMAC-SHA1.
const KEY: usize = 32;
/// The bytes by which a program sees that a password is wrong.
const VERIFIER: usize = 2;
/// The bytes of HMAC-SHA1 that are kept.
const TAG: usize = 10;
/// The bytes of a block of AES.
const BLOCK: usize = 16;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const ENCRYPTED: u16 = 99;
/// Bit 0: encrypted. Bit 11: the name is UTF-8.
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_UTF8: u16 = 1 << 11;
/// The versions that an entry needs to be read: 2.0 for deflate, 5.1 for AES.
const VERSION: u16 = 20;
const VERSION_AES: u16 = 51;
/// 1980-01-01, the first day that ZIP knows.
const DATE: u16 = 1 << 5 | 1;

/// A file as it is written into a ZIP.
struct Entry<'a> {
    name: &'a str,
    flags: u16,
    version: u16,
    method: u16,
    crc: u32,
    size: usize,
    extra: &'a [u8],
    data: Vec<u8>,
}

/// A ZIP of `files`, each a name and its content.
pub(crate) fn of_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let entries = files.into_iter().map(|(name, content)| {
        let mut crc = Crc::new();
        crc.update(content);
        let deflated = deflate(content);
        let (method, data) = match deflated.len() < content.len() {
            true => (DEFLATED, deflated),
            false => (STORED, content.to_vec()),
        };
        let (flags, version, size) = (FLAG_UTF8, VERSION, content.len());
        Entry { name, flags, version, method, crc: crc.sum(), size, extra: &[], data }
    });
    write(entries)
}

/// A ZIP whose only entry is `content`, encrypted. A salt must not serve two contents under one
/// password: both would be encrypted with the same key stream.
pub(crate) fn encrypted(name: &str, content: Vec<u8>, password: &str, salt: [u8; SALT]) -> Vec<u8> {
    // AE-2: vendor `AE`, strength 3 (256 bits), and the method that the content has below the
    // encryption. A ZIP inside is compressed already.
    let extra = [0x01, 0x99, 7, 0, 2, 0, b'A', b'E', 3, STORED as u8, (STORED >> 8) as u8];
    let size = content.len();
    let entry = Entry {
        name,
        flags: FLAG_UTF8 | FLAG_ENCRYPTED,
        version: VERSION_AES,
        method: ENCRYPTED,
        // With AE-2 there is none: it would tell of the content.
        crc: 0,
        size,
        extra: &extra,
        data: encrypt(content, password, salt),
    };
    write([entry])
}

/// Salt, verifier, content in AES-CTR and its tag.
fn encrypt(mut content: Vec<u8>, password: &str, salt: [u8; SALT]) -> Vec<u8> {
    let mut keys = [0; 2 * KEY + VERIFIER];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, ROUNDS, &salt, password.as_bytes(), &mut keys);
    let (cipher, rest) = keys.split_at(KEY);
    let (authentication, verifier) = rest.split_at(KEY);
    apply_stream(cipher, &mut content);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication);
    let tag = hmac::sign(&key, &content);
    [&salt, verifier, &content, &tag.as_ref()[..TAG]].concat()
}

/// XORs `content` with the key stream. The counter begins at 1 and is little-endian, unlike that
/// of every library's CTR.
fn apply_stream(key: &[u8], content: &mut [u8]) {
    let key = UnboundCipherKey::new(&AES_256, key).and_then(EncryptingKey::ecb).expect("it has 32 bytes");
    let mut stream = vec![0; content.len().next_multiple_of(BLOCK)];
    for (number, block) in (1_u64..).zip(stream.chunks_exact_mut(BLOCK)) {
        block[..8].copy_from_slice(&number.to_le_bytes());
    }
    key.encrypt(&mut stream).expect("they are whole blocks");
    content.iter_mut().zip(&stream).for_each(|(byte, other)| *byte ^= other);
}

/// At the fastest level: documents are compressed for the most part already.
fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(content.len()), Compression::fast());
    encoder.write_all(content).and_then(|()| encoder.finish()).expect("memory takes what is written")
}

/// The entries, the directory and its end.
fn write<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let mut count: u16 = 0;
    for entry in entries {
        let offset = length(out.len());
        out.extend(b"PK\x03\x04");
        entry.describe(&mut out);
        out.extend(entry.name.as_bytes());
        out.extend(entry.extra);
        out.extend(&entry.data);
        directory.extend(b"PK\x01\x02");
        directory.extend(entry.version.to_le_bytes());
        entry.describe(&mut directory);
        // No comment, the first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.name.as_bytes());
        directory.extend(entry.extra);
        count += 1;
    }
    let offset = length(out.len());
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend(length(directory.len()).to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend([0; 2]);
    out
}

impl Entry<'_> {
    /// What the entry and the directory say alike.
    fn describe(&self, out: &mut Vec<u8>) {
        for number in [self.version, self.flags, self.method, 0, DATE] {
            out.extend(number.to_le_bytes());
        }
        for number in [self.crc, length(self.data.len()), length(self.size)] {
            out.extend(number.to_le_bytes());
        }
        for length in [self.name.len(), self.extra.len()] {
            out.extend(u16::try_from(length).expect("names of files are short").to_le_bytes());
        }
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("messages are smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_counts_from_one_in_little_endian() {
        // The first block is AES of the number 1, checked with `openssl enc -aes-256-ecb`.
        let mut content = [0; 20];
        apply_stream(&[7; KEY], &mut content);
        let key = UnboundCipherKey::new(&AES_256, &[7; KEY]).and_then(EncryptingKey::ecb).unwrap();
        let mut blocks = [0; 32];
        (blocks[0], blocks[BLOCK]) = (1, 2);
        key.encrypt(&mut blocks).unwrap();
        assert_eq!(content, blocks[..20]);
    }

    #[test]
    fn what_does_not_shrink_is_stored() {
        let random = blake3::Hasher::new().finalize();
        let text = "a".repeat(1_000);
        let zip = of_files([("a.txt", text.as_bytes()), ("b.bin", &random.as_bytes()[..])]);
        assert!(zip.len() < 400, "{}", zip.len());
        assert!(memchr::memmem::find(&zip, random.as_bytes()).is_some());
    }
}
