//! gzip (RFC 1952) and ZIP, by their first bytes and within bounds: a few entries, and so many
//! bytes of all of them together.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder};

/// Unpacked, a report is not longer; what is beyond is not read.
const UNPACKED_BYTES: u64 = 16 << 20;
/// A ZIP archive holds one report; a few more files are looked at.
const ENTRIES: usize = 8;
const BUFFER_BYTES: usize = 32 << 10;
/// The fixed part of a local file header.
const ENTRY_HEADER: usize = 30;

/// Shows each file in `bytes` to `visit`, as it is unpacked, until it says to stop: what a file
/// unpacks to is never held as a whole.
pub(super) fn each_file(bytes: &[u8], visit: &mut dyn FnMut(&mut dyn BufRead) -> bool) {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let unpacked = MultiGzDecoder::new(bytes).take(UNPACKED_BYTES);
        visit(&mut BufReader::with_capacity(BUFFER_BYTES, unpacked));
    } else if bytes.starts_with(b"PK\x03\x04") {
        entries(bytes, visit);
    } else {
        visit(&mut { bytes });
    }
}

/// The entries of a ZIP archive, one after the other from the start. The directory at its end is
/// not needed, and can't lie.
fn entries(bytes: &[u8], visit: &mut dyn FnMut(&mut dyn BufRead) -> bool) {
    let mut rest = bytes;
    let mut left = UNPACKED_BYTES;
    for _ in 0..ENTRIES {
        let number =
            |at: usize| rest.get(at..at + 2).map_or(0, |two| usize::from(two[0]) | usize::from(two[1]) << 8);
        if !rest.starts_with(b"PK\x03\x04") || rest.len() < ENTRY_HEADER {
            return;
        }
        let (flags, method) = (number(6), number(8));
        let packed_bytes = number(18) | number(20) << 16;
        let content = ENTRY_HEADER + number(26) + number(28);
        let Some(behind) = rest.get(content..) else { return };
        // Bit 0: encrypted. Bit 3: the size stands behind the content.
        let size_is_known = flags & 8 == 0;
        let packed = if size_is_known { &behind[..packed_bytes.min(behind.len())] } else { behind };
        let mut decoder = DeflateDecoder::new(packed);
        let content: &mut dyn Read = match (flags & 1, method) {
            (0, 0) if size_is_known => &mut { packed },
            (0, 8) => &mut decoder,
            _ => &mut io::empty(),
        };
        let mut unpacked = BufReader::with_capacity(BUFFER_BYTES, content.take(left));
        let goes_on = visit(&mut unpacked);
        // The next entry begins where this one ends.
        io::copy(&mut unpacked, &mut io::sink()).ok();
        left = unpacked.into_inner().limit();
        if !goes_on || left == 0 {
            return;
        }
        let used = if size_is_known { packed.len() } else { decoder.total_in() as usize };
        rest = behind.get(used..).unwrap_or_default();
        if !size_is_known {
            // The data descriptor: a signature that may be missing, a checksum and two sizes.
            let start = memchr::memmem::find(&rest[..rest.len().min(64)], b"PK\x03\x04");
            let Some(start) = start else { return };
            rest = &rest[start..];
        }
    }
}
