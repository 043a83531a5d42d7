//! Small JSON files that carry a checksum of themselves: `{"blake3":"...","content":{...}}`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::content_hash::Digest;

const OPEN: &str = "{\"blake3\":\"";
const MIDDLE: &str = "\",\"content\":";
const CLOSE: &str = "}\n";
const HEX: usize = 64;

/// The bytes of a file that holds `content`.
pub(crate) fn seal(content: &impl Serialize) -> Vec<u8> {
    let body = serde_json::to_string(content).expect("what is sealed has text keys and serialises without faults");
    let digest = Digest::of_bytes(body.as_bytes());
    format!("{OPEN}{digest}{MIDDLE}{body}{CLOSE}").into_bytes()
}

/// What such a file holds; every changed, missing or added byte is noticed.
pub(crate) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let body = body(bytes).ok_or("its checksum does not match")?;
    serde_json::from_slice(body).map_err(|error| format!("it has another form: {error}"))
}

fn body(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(OPEN.as_bytes())?;
    let (hex, rest) = rest.split_at_checked(HEX)?;
    let digest: Digest = std::str::from_utf8(hex).ok()?.parse().ok()?;
    let body = rest.strip_prefix(MIDDLE.as_bytes())?.strip_suffix(CLOSE.as_bytes())?;
    (Digest::of_bytes(body) == digest).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_is_json_and_reads_back() {
        let bytes = seal(&vec!["a", "b"]);
        assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        assert_eq!(unseal::<Vec<String>>(&bytes), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let bytes = seal(&vec!["a", "b"]);
        for index in 0..bytes.len() {
            assert!(unseal::<Vec<String>>(&bytes[..index]).is_err());
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[index] ^= 1 << bit;
                assert!(unseal::<Vec<String>>(&flipped).is_err(), "bit {bit} of byte {index}");
            }
        }
    }
}
