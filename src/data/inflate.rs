//! Files that may be compressed by gzip or Zstandard, told by their first bytes rather than by their names.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result};

use flate2::read::MultiGzDecoder;

/// Deflate cannot pack more than this many bytes into one (zlib's technical notes: 1032:1).
pub(super) const MAX_RATIO: usize = 1032;

/// Whether `raw` begins as gzip does (RFC 1952).
pub(super) fn is_gzip(raw: &[u8]) -> bool {
    raw.starts_with(&[0x1f, 0x8b])
}

/// Whether `raw` begins as Zstandard does (RFC 8878).
fn is_zstd(raw: &[u8]) -> bool {
    raw.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// A reader of the plain content of `raw`. At the end of a compressed content its checksum was verified.
pub(super) fn open(raw: &[u8]) -> Box<dyn Read + '_> {
    if is_gzip(raw) { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) }
}

/// The same of a file, read in a stream.
///
/// # Errors
/// Where the file cannot be read.
pub(super) fn open_file(file: File) -> Result<Box<dyn Read>> {
    let mut file = BufReader::new(file);
    Ok(if is_gzip(file.fill_buf()?) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// The plain content of `raw`, at most `limit` bytes of it.
///
/// # Errors
/// Where the compression is broken or the content is longer than `limit`.
pub(super) fn plain(raw: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let reader = if is_zstd(raw) { Box::new(zstd::Decoder::with_buffer(raw)?) } else { open(raw) };
    reader.take(limit as u64 + 1).read_to_end(&mut content)?;
    if content.len() > limit {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, format!("more than {limit} bytes")));
    }
    Ok(content)
}
