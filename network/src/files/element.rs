//! Types of numbers in files, and the one rule by which they become `f32`.

use half::{bf16, f16};

use super::error::Fault;

/// The type of a file's numbers.
///
/// `f32` is taken bit for bit; `f16`, `bf16`, booleans and integers of up to 24 bits are exact; `f64` and wider integers are
/// rounded to the nearest `f32`. A finite `f64` beyond the range of `f32` is refused rather than made infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

/// The order of bytes in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

impl Endian {
    /// The order of this machine.
    pub(super) const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

impl Element {
    /// Bytes of one number.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Bytes of an array of `shape`, or why there cannot be so many in a file that unpacks to `limit` bytes at most.
    pub(super) fn bytes(self, shape: &[usize], limit: usize) -> Result<usize, Fault> {
        shape
            .iter()
            .try_fold(self.size(), |bytes, &extent| bytes.checked_mul(extent))
            .filter(|&bytes| bytes <= limit)
            .ok_or_else(|| Fault::malformed(format!("it claims the shape {shape:?}, more than the file can hold")))
    }

    /// The numbers of `raw` in double precision.
    pub(super) fn decode_wide(self, raw: &[u8], endian: Endian) -> Vec<f64> {
        macro_rules! each {
            ($type:ty, $convert:expr) => {{
                const SIZE: usize = size_of::<$type>();
                let bytes = raw.as_chunks::<SIZE>().0.iter();
                match endian {
                    Endian::Little => bytes.map(|&bytes| $convert(<$type>::from_le_bytes(bytes))).collect(),
                    Endian::Big => bytes.map(|&bytes| $convert(<$type>::from_be_bytes(bytes))).collect(),
                }
            }};
        }
        match self {
            Self::F64 => each!(f64, |number: f64| number),
            Self::F32 => each!(f32, f64::from),
            Self::F16 => each!(f16, f16::to_f64),
            Self::Bf16 => each!(bf16, bf16::to_f64),
            Self::I64 => each!(i64, |number| number as f64),
            Self::I32 => each!(i32, f64::from),
            Self::I16 => each!(i16, f64::from),
            Self::I8 => each!(i8, f64::from),
            Self::U64 => each!(u64, |number| number as f64),
            Self::U32 => each!(u32, f64::from),
            Self::U16 => each!(u16, f64::from),
            Self::U8 => raw.iter().map(|&number| f64::from(number)).collect(),
            Self::Bool => raw.iter().map(|&byte| f64::from(u8::from(byte != 0))).collect(),
        }
    }

    /// The numbers of `raw`.
    pub(super) fn decode(self, raw: &[u8], endian: Endian) -> Result<Vec<f32>, Fault> {
        macro_rules! each {
            ($type:ty, $convert:expr) => {{
                const SIZE: usize = size_of::<$type>();
                let bytes = raw.as_chunks::<SIZE>().0.iter();
                match endian {
                    Endian::Little => bytes.map(|&bytes| $convert(<$type>::from_le_bytes(bytes))).collect(),
                    Endian::Big => bytes.map(|&bytes| $convert(<$type>::from_be_bytes(bytes))).collect(),
                }
            }};
        }
        Ok(match self {
            Self::F64 => {
                let exact: Vec<f64> = each!(f64, |number: f64| number);
                return exact.into_iter().map(narrow).collect();
            }
            Self::F32 => each!(f32, |number: f32| number),
            Self::F16 => each!(f16, f16::to_f32),
            Self::Bf16 => each!(bf16, bf16::to_f32),
            Self::I64 => each!(i64, |number| number as f32),
            Self::I32 => each!(i32, |number| number as f32),
            Self::I16 => each!(i16, f32::from),
            Self::I8 => each!(i8, f32::from),
            Self::U64 => each!(u64, |number| number as f32),
            Self::U32 => each!(u32, |number| number as f32),
            Self::U16 => each!(u16, f32::from),
            Self::U8 => raw.iter().map(|&number| f32::from(number)).collect(),
            Self::Bool => raw.iter().map(|&byte| f32::from(u8::from(byte != 0))).collect(),
        })
    }
}

/// The nearest `f32`, unless there is none.
fn narrow(number: f64) -> Result<f32, Fault> {
    let nearest = number as f32;
    if nearest.is_infinite() && number.is_finite() {
        let problem = format!("holds {number:e}, beyond the range of f32");
        return Err(Fault::Unsupported(problem, "rescale the weights"));
    }
    Ok(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_number_becomes_the_nearest_f32() {
        let decode = |element: Element, raw: &[u8]| element.decode(raw, Endian::Little).expect("in range");
        assert_eq!(decode(Element::F16, &[0x00, 0x3c, 0x00, 0xc0]), [1.0, -2.0]);
        assert_eq!(decode(Element::Bf16, &[0x80, 0x3f, 0x49, 0x40]), [1.0, 3.140_625]);
        assert_eq!(decode(Element::F64, &0.1_f64.to_le_bytes()), [0.1]);
        assert_eq!(decode(Element::I8, &[0xff, 0x7f]), [-1.0, 127.0]);
        assert_eq!(decode(Element::U64, &16_777_217_u64.to_le_bytes()), [16_777_216.0]);
        assert_eq!(decode(Element::Bool, &[0, 1, 7]), [0.0, 1.0, 1.0]);
        assert_eq!(Element::I16.decode(&[1, 0], Endian::Big).expect("in range"), [256.0]);
        let nan = f32::from_bits(0x7fc0_1234);
        assert_eq!(decode(Element::F32, &nan.to_le_bytes())[0].to_bits(), nan.to_bits());
    }

    #[test]
    fn an_f64_without_an_f32_is_refused() {
        let fault = Element::F64.decode(&1e300_f64.to_le_bytes(), Endian::Little).expect_err("too large");
        assert!(matches!(fault, Fault::Unsupported(problem, _) if problem.contains("1e300")));
        let infinite = Element::F64.decode(&f64::INFINITY.to_le_bytes(), Endian::Little).expect("has an f32");
        assert!(infinite[0].is_infinite());
    }

    #[test]
    fn absurd_shapes_are_refused_before_memory_is_taken() {
        assert!(Element::F64.bytes(&[usize::MAX, 2], usize::MAX).is_err());
        assert!(Element::F32.bytes(&[1000], 3999).is_err());
        assert_eq!(Element::F32.bytes(&[10, 0], 8).expect("empty"), 0);
    }
}
