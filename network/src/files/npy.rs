//! `NumPy` arrays (`NumPy` enhancement proposal 1), read without trusting their headers.

use super::element::{Element, Endian};
use super::error::Fault;

/// An array of numbers in a file's bytes.
#[derive(Debug)]
pub struct Array<'a> {
    header: Header,
    raw: &'a [u8],
}

impl<'a> Array<'a> {
    /// The array that `raw`, the whole of an `.npy` file, holds.
    ///
    /// # Errors
    /// Where it is damaged, or holds something else than numbers; the text names the problem and ends in a fix.
    pub fn read(raw: &'a [u8]) -> Result<Self, String> {
        let array = || {
            let (header, raw) = split(raw)?;
            let (shape, found) = (&header.shape, raw.len());
            if header.element.bytes(shape, usize::MAX)? != found {
                let problem = format!("it claims the shape {shape:?}, but {found} bytes follow");
                return Err(Fault::malformed(problem));
            }
            Ok(Self { header, raw })
        };
        array().map_err(|fault| match fault {
            Fault::Unsupported(problem, fix) => format!("{problem}; {fix}"),
            Fault::Malformed(problem) => format!("{problem}; save it again"),
            Fault::Graph(problems) => problems.join("; "),
        })
    }

    /// Its extents, the first one varying slowest.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Whether its bytes have the first index varying fastest.
    #[must_use]
    pub const fn is_fortran(&self) -> bool {
        self.header.fortran
    }

    /// Its elements where they are unsigned bytes, in the order of the file.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a [u8]> {
        (self.header.element == Element::U8).then_some(self.raw)
    }

    /// Whether its elements are floating-point numbers.
    #[must_use]
    pub const fn is_float(&self) -> bool {
        matches!(self.header.element, Element::F64 | Element::F32 | Element::F16 | Element::Bf16)
    }

    /// Its numbers in the order of the file; whole numbers beyond 2^53 are rounded.
    #[must_use]
    pub fn numbers(&self) -> Vec<f64> {
        self.header.element.decode_wide(self.raw, self.header.endian)
    }
}

/// What an array's header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) element: Element,
    pub(super) endian: Endian,
    /// Whether the first index varies fastest.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

/// No array of numbers needs a longer header.
const LONGEST_HEADER: usize = 1 << 16;

/// Splits an array's bytes into its header and its numbers.
pub(super) fn split(raw: &[u8]) -> Result<(Header, &[u8]), Fault> {
    let cut = || Fault::malformed("an array breaks off");
    let start = raw.first_chunk::<10>().ok_or_else(cut)?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(Fault::malformed("an array does not begin as arrays do"));
    }
    let short = usize::from(u16::from_le_bytes([start[8], start[9]]));
    let (length, at) = match (start[6], raw.get(10..12)) {
        (1, _) => (short, 10),
        (_, Some(&[low, high])) => (short | usize::from(u16::from_le_bytes([low, high])) << 16, 12),
        _ => return Err(cut()),
    };
    if length > LONGEST_HEADER {
        return Err(Fault::malformed("the header of an array is longer than any needs"));
    }
    let text = raw.get(at..at + length).ok_or_else(cut)?;
    let text = std::str::from_utf8(text).map_err(Fault::malformed)?;
    Ok((parse(text)?, &raw[at + length..]))
}

/// Reads a dictionary such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse(text: &str) -> Result<Header, Fault> {
    let field = |key: &str| {
        let (_, rest) = text
            .split_once(&format!("'{key}':"))
            .ok_or_else(|| Fault::malformed(format!("the header of an array has no `{key}`")))?;
        Ok(rest.trim_start())
    };
    let fortran = field("fortran_order")?.starts_with("True");
    let descr = field("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map(|(descr, _)| descr);
    let (element, endian) = descr.and_then(element).ok_or_else(|| {
        let problem = format!("holds an array of type {}", descr.unwrap_or("object or record"));
        Fault::Unsupported(problem, "save whole numbers or floats")
    })?;
    let garbled = || Fault::malformed("the header of an array has a garbled shape");
    let shape = field("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or_else(garbled)?.0;
    let extents = shape.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let shape = extents.map(|extent| extent.parse().map_err(|_| garbled())).collect::<Result<_, _>>()?;
    Ok(Header { element, endian, fortran, shape })
}

fn element(descr: &str) -> Option<(Element, Endian)> {
    let (order, kind) = descr.split_at_checked(1)?;
    let endian = match order {
        "<" | "|" => Endian::Little,
        "=" => Endian::NATIVE,
        ">" => Endian::Big,
        _ => return None,
    };
    let element = match kind {
        "f8" => Element::F64,
        "f4" => Element::F32,
        "f2" => Element::F16,
        "i8" => Element::I64,
        "i4" => Element::I32,
        "i2" => Element::I16,
        "i1" => Element::I8,
        "u8" => Element::U64,
        "u4" => Element::U32,
        "u2" => Element::U16,
        "u1" => Element::U8,
        "b1" => Element::Bool,
        _ => return None,
    };
    Some((element, endian))
}

/// The bytes of an array in row-major order.
pub(super) fn write(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let comma = if shape.len() == 1 { "," } else { "" };
    let extents = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({extents}{comma}), }}");
    // Magic, version, length and text fill a multiple of 64 bytes; the text ends in a line break.
    let padded = (10 + text.len() + 1).next_multiple_of(64) - 10;
    text.extend(std::iter::repeat_n(' ', padded - text.len() - 1).chain(['\n']));
    let mut raw = b"\x93NUMPY\x01\x00".to_vec();
    raw.extend((text.len() as u16).to_le_bytes());
    raw.extend(text.as_bytes());
    raw.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_numpy_are_understood() {
        let header = parse("{'descr': '>f8', 'fortran_order': True, 'shape': (3, 4), }").expect("well formed");
        let wanted = Header { element: Element::F64, endian: Endian::Big, fortran: true, shape: vec![3, 4] };
        assert_eq!(header, wanted);
        assert_eq!(parse("{'shape': (7,), 'fortran_order': False, 'descr': '|b1'}").expect("well formed").shape, [7]);
        assert!(parse("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }").is_err());
        assert!(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }").is_err());
    }

    #[test]
    fn whole_numbers_keep_all_their_digits() {
        // np.save of np.array([16777217, -3], ">i8").
        let mut raw = b"\x93NUMPY\x01\x00\x39\x00".to_vec();
        raw.extend(b"{'descr': '>i8', 'fortran_order': False, 'shape': (2,), }");
        raw.extend([16_777_217_i64, -3].iter().flat_map(|number| number.to_be_bytes()));
        let array = Array::read(&raw).expect("well formed");
        assert_eq!((array.numbers(), array.is_float(), array.bytes()), (vec![16_777_217.0, -3.0], false, None));
        let error = Array::read(&raw[..raw.len() - 1]).expect_err("cut");
        assert!(error.contains("shape [2], but 15 bytes follow"), "{error}");
    }

    #[test]
    fn a_written_array_begins_at_a_multiple_of_64_bytes() {
        for shape in [vec![], vec![3], vec![1, 3]] {
            let values = vec![1.0, 2.0, 3.0][..shape.iter().product::<usize>().min(3)].to_vec();
            let raw = write(&shape, &values);
            let (header, numbers) = split(&raw).expect("just written");
            assert_eq!(header.shape, shape);
            assert_eq!((raw.len() - numbers.len()) % 64, 0);
            assert_eq!(header.element.decode(numbers, header.endian).expect("f32"), values);
        }
    }
}
