//! Identity of values: a hash over what a value *is*, the same on every machine and in every release.
//!
//! `std::hash::Hash` promises neither, and printed forms change with the printer. Here every value is framed, so that no
//! two different values feed the same bytes:
//!
//! * text, slices, sets and maps are preceded by their length: `("ab", "cd")` differs from `("a", "bcd")`;
//! * an enum feeds the *name* of its variant before its fields, so that reordering variants changes nothing, and so that
//!   `None` differs from `0` and from `()`;
//! * integers are 64 bits little-endian whatever their width, so that widening a field changes nothing;
//! * floats are their bits as `f64`, all NaNs being one: `-0.0` differs from `0.0`, for they divide differently.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 32 bytes that stand for a content; printed as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of raw bytes, as `b3sum` prints it.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of everything that a reader yields, and how many bytes that was.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn of_reader(mut reader: impl std::io::Read) -> std::io::Result<(Self, u64)> {
        let mut hasher = blake3::Hasher::new();
        let bytes = std::io::copy(&mut reader, &mut hasher)?;
        Ok((Self(*hasher.finalize().as_bytes()), bytes))
    }

    /// A digest from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first twelve hexadecimal digits: enough for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as a digest: write 64 lowercase hexadecimal digits")]
pub struct DigestError(String);

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let fault = || DigestError(text.chars().take(80).collect());
        // One spelling per digest, for digests name files.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(fault());
        }
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| fault())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What values are fed to.
#[derive(Clone, Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// An empty hasher.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raw bytes, unframed: for values whose length is fixed or already fed.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// A length, which frames what follows.
    pub fn length(&mut self, length: usize) {
        self.raw(&(length as u64).to_le_bytes());
    }

    /// Bytes, preceded by how many there are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    /// The name of an enum's variant, or of a field; feed its contents next.
    pub fn variant(&mut self, name: &str) {
        self.bytes(name.as_bytes());
    }

    /// The digest of everything fed so far.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// A value whose content can be hashed. Feed a struct field by field, an enum as [`Hasher::variant`] and its fields.
pub trait ContentHash {
    /// Feeds the value, framed, to `hasher`.
    fn feed(&self, hasher: &mut Hasher);

    /// The digest of this value alone.
    fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        self.feed(&mut hasher);
        hasher.finish()
    }
}

macro_rules! integers {
    ($($integer:ty as $wide:ty),*) => {$(
        impl ContentHash for $integer {
            fn feed(&self, hasher: &mut Hasher) {
                hasher.raw(&(*self as $wide).to_le_bytes());
            }
        }
    )*};
}

integers!(i8 as i64, i16 as i64, i32 as i64, i64 as i64, isize as i64);
integers!(u8 as u64, u16 as u64, u32 as u64, u64 as u64, usize as u64);

impl ContentHash for bool {
    fn feed(&self, hasher: &mut Hasher) {
        hasher.raw(&[u8::from(*self)]);
    }
}

impl ContentHash for f64 {
    fn feed(&self, hasher: &mut Hasher) {
        let canonical = if self.is_nan() { Self::NAN } else { *self };
        hasher.raw(&canonical.to_bits().to_le_bytes());
    }
}

impl ContentHash for f32 {
    fn feed(&self, hasher: &mut Hasher) {
        f64::from(*self).feed(hasher);
    }
}

impl ContentHash for str {
    fn feed(&self, hasher: &mut Hasher) {
        hasher.bytes(self.as_bytes());
    }
}

impl ContentHash for String {
    fn feed(&self, hasher: &mut Hasher) {
        self.as_str().feed(hasher);
    }
}

impl ContentHash for Digest {
    fn feed(&self, hasher: &mut Hasher) {
        hasher.raw(&self.0);
    }
}

impl<T: ContentHash> ContentHash for [T] {
    fn feed(&self, hasher: &mut Hasher) {
        hasher.length(self.len());
        for item in self {
            item.feed(hasher);
        }
    }
}

impl<T: ContentHash> ContentHash for Vec<T> {
    fn feed(&self, hasher: &mut Hasher) {
        self.as_slice().feed(hasher);
    }
}

impl<T: ContentHash> ContentHash for Option<T> {
    fn feed(&self, hasher: &mut Hasher) {
        match self {
            None => hasher.variant("None"),
            Some(value) => {
                hasher.variant("Some");
                value.feed(hasher);
            }
        }
    }
}

impl<T: ContentHash> ContentHash for BTreeSet<T> {
    fn feed(&self, hasher: &mut Hasher) {
        hasher.length(self.len());
        for item in self {
            item.feed(hasher);
        }
    }
}

impl<K: ContentHash, V: ContentHash> ContentHash for BTreeMap<K, V> {
    fn feed(&self, hasher: &mut Hasher) {
        hasher.length(self.len());
        for (key, value) in self {
            key.feed(hasher);
            value.feed(hasher);
        }
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: ContentHash + ?Sized> ContentHash for $pointer {
            fn feed(&self, hasher: &mut Hasher) {
                (**self).feed(hasher);
            }
        }
    )*};
}

pointers!(&T, Box<T>, Arc<T>);

macro_rules! tuples {
    ($(($($name:ident),*))*) => {$(
        impl<$($name: ContentHash),*> ContentHash for ($($name,)*) {
            #[expect(non_snake_case, reason = "the types' names serve as the variables' names")]
            fn feed(&self, hasher: &mut Hasher) {
                hasher.variant("tuple");
                let ($($name,)*) = self;
                hasher.length([$(stringify!($name)),*].len() as usize);
                $($name.feed(hasher);)*
            }
        }
    )*};
}

tuples! { (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }

impl ContentHash for () {
    fn feed(&self, hasher: &mut Hasher) {
        hasher.variant("unit");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Framing by hand: what the documentation at the top says, byte by byte.
    fn framed(pieces: &[&[u8]]) -> String {
        blake3::hash(&pieces.concat()).to_hex().to_string()
    }

    const fn le(value: u64) -> [u8; 8] {
        value.to_le_bytes()
    }

    #[test]
    fn values_feed_the_bytes_that_the_documentation_promises() {
        assert_eq!("ab".digest().to_string(), framed(&[&le(2), b"ab"]));
        assert_eq!(7_u8.digest().to_string(), framed(&[&le(7)]));
        assert_eq!((-1_i32).digest().to_string(), framed(&[&[255; 8]]));
        assert_eq!(1.5_f64.digest().to_string(), framed(&[&le(0x3ff8_0000_0000_0000)]));
        assert_eq!(Some(true).digest().to_string(), framed(&[&le(4), b"Some", &[1]]));
        assert_eq!(None::<bool>.digest().to_string(), framed(&[&le(4), b"None"]));
        assert_eq!(vec!["a", "b"].digest().to_string(), framed(&[&le(2), &le(1), b"a", &le(1), b"b"]));
        assert_eq!(("a", 1_u8).digest().to_string(), framed(&[&le(5), b"tuple", &le(2), &le(1), b"a", &le(1)]));
        assert_eq!(BTreeMap::from([("k", 1_u8)]).digest().to_string(), framed(&[&le(1), &le(1), b"k", &le(1)]));
    }

    #[test]
    fn digests_are_those_of_the_first_release() {
        let nested = (vec![Some("a"), None], BTreeMap::from([("x".to_owned(), 0.5_f64)]), -3_i64, true);
        assert_eq!("".digest().to_string(), "71e0a99173564931c0b8acc52d2685a8e39c64dc52e3d02390fdac2a12b155cb");
        assert_eq!(nested.digest().to_string(), "956df7701586e5b8229252db158b12f75e0e513c6b01cc3d218242498bc9f94f");
    }

    #[test]
    fn where_one_value_ends_and_the_next_begins_is_part_of_the_hash() {
        assert_ne!(("ab", "cd").digest(), ("a", "bcd").digest());
        assert_ne!(vec!["ab", "cd"].digest(), vec!["abcd"].digest());
        assert_ne!((vec![1], vec![2, 3]).digest(), (vec![1, 2], vec![3]).digest());
        assert_ne!(((1, 2), 3).digest(), (1, (2, 3)).digest());
    }

    #[test]
    fn nothing_differs_from_zero_and_from_empty() {
        assert_ne!(None::<i64>.digest(), 0_i64.digest());
        assert_ne!(Some(0_i64).digest(), 0_i64.digest());
        assert_ne!(Vec::<i64>::new().digest(), ().digest());
        assert_ne!(Some(None::<i64>).digest(), None::<Option<i64>>.digest());
    }

    #[test]
    fn floats_hash_by_their_bits_but_all_nans_are_one() {
        assert_ne!(0.0_f64.digest(), (-0.0_f64).digest());
        assert_eq!(f64::NAN.digest(), (-f64::NAN).digest());
        assert_eq!(f64::NAN.digest(), f64::from_bits(0x7ff0_0000_0000_0001).digest());
        assert_eq!(f32::NAN.digest(), f64::NAN.digest());
        assert_ne!(0.1_f32.digest(), 0.1_f64.digest());
    }

    #[test]
    fn width_and_ownership_have_no_meaning() {
        assert_eq!(7_u8.digest(), 7_i64.digest());
        assert_eq!("a".digest(), Arc::new(Box::new("a".to_owned())).digest());
        assert_eq!(vec![1, 2].digest(), [1, 2].as_slice().digest());
    }

    #[test]
    fn a_digest_reads_back_from_its_one_spelling() {
        let digest = Digest::of_bytes(b"");
        let text = digest.to_string();
        // The published hash of the empty input, BLAKE3 test vectors.
        assert_eq!(text, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(digest.short(), "af1349b9f5f9");
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Digest>(&format!("\"{text}\"")).unwrap(), digest);
        for wrong in
            [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), "../../x".to_owned(), String::new()]
        {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
        assert_eq!(Digest::of_reader(&b"abc"[..]).unwrap(), (Digest::of_bytes(b"abc"), 3));
    }

    /// Values nested at random.
    fn nested() -> impl Strategy<Value = crate::Tree> {
        crate::tree::any_tree()
    }

    proptest! {
        #[test]
        fn different_values_have_different_digests(a in nested(), b in nested()) {
            prop_assert_eq!(a == b, a.digest() == b.digest());
        }

        #[test]
        fn different_lists_of_text_have_different_digests(
            a in prop::collection::vec(prop::collection::vec("[ab]{0,2}", 0..3), 0..3),
            b in prop::collection::vec(prop::collection::vec("[ab]{0,2}", 0..3), 0..3),
        ) {
            prop_assert_eq!(a == b, a.digest() == b.digest());
        }
    }
}
