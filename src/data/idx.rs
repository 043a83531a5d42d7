//! IDX, the format of MNIST and its relatives: a big-endian header, then bytes; often compressed by gzip.
//!
//! Bytes 0 and 1 are zero, byte 2 is the element type (8: unsigned byte), byte 3 the number of dimensions; a 32-bit length
//! follows for each dimension, then the elements, the last dimension fastest.

use std::io::Read;

use super::error::DataError;
use super::inflate::{self, MAX_RATIO};

/// An array of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Idx {
    /// Lengths of the dimensions, slowest first.
    pub(super) dims: Vec<usize>,
    /// The elements.
    pub(super) data: Vec<u8>,
}

/// The element type "unsigned byte".
const UNSIGNED_BYTE: u8 = 0x08;

/// Decodes `raw`, compressed or not, which must be an array of `rank` dimensions and nothing more.
///
/// Memory is taken in proportion to `raw`, never to what its header claims.
///
/// # Errors
/// [`DataError::Malformed`] where the header, the length or the compression's checksum is wrong.
pub(super) fn decode(file: &str, raw: &[u8], rank: usize) -> Result<Idx, DataError> {
    let bad = |problem: String| DataError::malformed(file, problem);
    let cut = |error: std::io::Error| bad(format!("it breaks off or is garbled ({error})"));
    let mut reader = inflate::open(raw);
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).map_err(cut)?;
    let expected = [0, 0, UNSIGNED_BYTE, rank as u8];
    if magic != expected {
        return Err(bad(format!("it begins with {magic:02x?} where an IDX array of bytes has {expected:02x?}")));
    }
    let mut dims = Vec::with_capacity(rank);
    for _ in 0..rank {
        let mut length = [0; 4];
        reader.read_exact(&mut length).map_err(cut)?;
        dims.push(u32::from_be_bytes(length) as usize);
    }
    let bytes = dims.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    let limit = raw.len().saturating_mul(if inflate::is_gzip(raw) { MAX_RATIO } else { 1 });
    let bytes = bytes.filter(|&bytes| bytes <= limit).ok_or_else(|| {
        bad(format!("its header claims {dims:?} elements, more than {} bytes of file can hold", raw.len()))
    })?;
    let mut data = Vec::with_capacity(bytes);
    // One byte more than belongs there: reading to the very end is what checks gzip's checksum.
    reader.take(bytes as u64 + 1).read_to_end(&mut data).map_err(cut)?;
    if data.len() != bytes {
        let more = if data.len() > bytes { "more" } else { "fewer" };
        return Err(bad(format!("its header claims {dims:?} elements and {more} follow")));
    }
    Ok(Idx { dims, data })
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// A small IDX file of these dimensions, its elements counting up.
    pub(in super::super) fn small(dims: &[u32]) -> Vec<u8> {
        let mut raw = vec![0, 0, 8, dims.len() as u8];
        raw.extend(dims.iter().flat_map(|length| length.to_be_bytes()));
        raw.extend((0..dims.iter().product::<u32>()).map(|i| i as u8));
        raw
    }

    pub(in super::super) fn gzip(raw: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(raw).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    #[test]
    fn plain_and_compressed_files_decode_alike() {
        let raw = small(&[2, 3, 2]);
        let plain = decode("images", &raw, 3).expect("intact");
        assert_eq!(plain, Idx { dims: vec![2, 3, 2], data: (0..12).collect() });
        assert_eq!(decode("images", &gzip(&raw), 3).expect("intact"), plain);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let raw = small(&[3, 4, 5]);
        for whole in [raw.clone(), gzip(&raw)] {
            for length in 0..whole.len() {
                let error = decode("images", &whole[..length], 3).expect_err("truncated");
                assert!(matches!(error, DataError::Malformed { .. }), "{length}: {error}");
            }
        }
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        let mut raw = small(&[3, 4, 5]);
        let mut packed = gzip(&raw);
        packed.push(0);
        raw.push(0);
        decode("images", &raw, 3).expect_err("too long");
        decode("images", &packed, 3).expect_err("too long");
        decode("images", &gzip(&raw), 3).expect_err("too long");
    }

    #[test]
    fn a_flipped_bit_of_a_compressed_file_never_changes_what_is_read() {
        let raw = small(&[3, 4, 5]);
        let whole = gzip(&raw);
        let intact = decode("images", &whole, 3).expect("intact");
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A flip in gzip's time stamp or system byte has no meaning and may pass.
            if let Ok(read) = decode("images", &flipped, 3) {
                assert_eq!(read, intact, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_of_a_plain_header_is_an_error() {
        let raw = small(&[3, 4, 5]);
        for bit in 0..16 * 8 {
            let mut flipped = raw.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            decode("images", &flipped, 3).expect_err("header");
        }
    }

    #[test]
    fn a_header_that_claims_the_world_allocates_nothing() {
        let mut raw = vec![0, 0, 8, 3];
        raw.extend([0xff; 12]);
        let error = decode("images", &raw, 3).expect_err("hostile").to_string();
        assert!(error.contains("more than 16 bytes of file can hold"), "{error}");
        decode("images", &gzip(&raw), 3).expect_err("hostile");
        let mut wide = vec![0, 0, 8, 1];
        wide.extend(u32::MAX.to_be_bytes());
        decode("labels", &gzip(&wide), 1).expect_err("hostile");
    }
}
