//! gzip (RFC 1952) and ZIP, by their first bytes and within bounds: a few entries, and so many
//! bytes of all of them together.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder};

/// Unpacked, a report is not longer; what is beyond is not read.
const UNPACKED_BYTES: u64 = 16 << 20;
/// A ZIP archive holds one report; a few more files are looked at.
const ENTRIES: usize = 8;
/// The fixed part of a local file header.
const ENTRY_HEADER: usize = 30;

/// Shows each file in `bytes` to `visit`, unpacked, until it says to stop.
pub(super) fn each_file(bytes: Cow<'_, [u8]>, visit: &mut dyn FnMut(&[u8]) -> bool) {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let unpacked = inflated(MultiGzDecoder::new(&*bytes), UNPACKED_BYTES);
        // The packed bytes take memory too, and nobody asks for them any longer.
        drop(bytes);
        visit(&unpacked);
    } else if bytes.starts_with(b"PK\x03\x04") {
        entries(&bytes, visit);
    } else {
        visit(&bytes);
    }
}

/// What comes before an error counts: the sums of a report that was cut off are of use.
fn inflated(packed: impl Read, most: u64) -> Vec<u8> {
    let mut unpacked = Vec::new();
    // What was read before an error stays in the buffer.
    packed.take(most).read_to_end(&mut unpacked).ok();
    unpacked
}

/// The entries of a ZIP archive, one after the other from the start. The directory at its end is
/// not needed, and can't lie.
fn entries(bytes: &[u8], visit: &mut dyn FnMut(&[u8]) -> bool) {
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
        let (unpacked, used) = match (flags & 1, method) {
            (0, 0) if size_is_known => (packed[..packed.len().min(left as usize)].to_vec(), packed.len()),
            (0, 8) => {
                let mut decoder = DeflateDecoder::new(packed);
                let unpacked = inflated(&mut decoder, left);
                (unpacked, if size_is_known { packed.len() } else { decoder.total_in() as usize })
            }
            _ => (Vec::new(), packed.len()),
        };
        left = left.saturating_sub(unpacked.len() as u64);
        if !visit(&unpacked) || left == 0 {
            return;
        }
        rest = behind.get(used..).unwrap_or_default();
        if !size_is_known {
            // The data descriptor: a signature that may be missing, a checksum and two sizes.
            let start = memchr::memmem::find(&rest[..rest.len().min(64)], b"PK\x03\x04");
            let Some(start) = start else { return };
            rest = &rest[start..];
        }
    }
}
