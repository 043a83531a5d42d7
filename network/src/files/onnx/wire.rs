//! The wire format of protocol buffers: a sequence of numbered fields, read without copying and without trusting lengths.

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// An integer of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Text, bytes, packed numbers, or a message within the message.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

/// The fields of a message.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    raw: &'a [u8],
}

/// The fields of `message`.
pub(super) const fn fields(message: &[u8]) -> Fields<'_> {
    Fields { raw: message }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.raw.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.raw = &[];
        }
        Some(field.ok_or_else(|| "a field breaks off or has an unknown type".to_owned()))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = varint(&mut self.raw)?;
        let number = u32::try_from(key >> 3).ok().filter(|&number| number > 0)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.raw)?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.raw)?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.take(4)?.first_chunk()?)),
            _ => return None,
        };
        Some((number, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.raw.split_at_checked(length)?;
        self.raw = rest;
        Some(taken)
    }
}

/// The next integer of variable length: seven bits a byte, the lowest first.
fn varint(raw: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (&byte, rest) = raw.split_first()?;
        *raw = rest;
        number |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

impl<'a> Value<'a> {
    /// An integer, two's complement.
    pub(super) fn int(self) -> Result<i64, String> {
        match self {
            Self::Varint(number) => Ok(number as i64),
            _ => Err("a field that must be an integer is none".into()),
        }
    }

    /// A number of single precision.
    pub(super) fn float(self) -> Result<f32, String> {
        match self {
            Self::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err("a field that must be a number is none".into()),
        }
    }

    /// Bytes or a message.
    pub(super) fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err("a field that must be a message is none".into()),
        }
    }

    /// Text.
    pub(super) fn text(self) -> Result<String, String> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| "a field that must be text is none".into())
    }

    /// Appends integers, packed or single.
    pub(super) fn ints(self, into: &mut Vec<i64>) -> Result<(), String> {
        match self {
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    into.push(varint(&mut packed).ok_or("packed integers break off")? as i64);
                }
            }
            _ => into.push(self.int()?),
        }
        Ok(())
    }

    /// Appends numbers of single precision, packed or single.
    pub(super) fn floats(self, into: &mut Vec<f32>) -> Result<(), String> {
        match self {
            Self::Bytes(packed) => {
                let (numbers, []) = packed.as_chunks() else { return Err("packed numbers break off".into()) };
                into.extend(numbers.iter().map(|&number| f32::from_le_bytes(number)));
            }
            _ => into.push(self.float()?),
        }
        Ok(())
    }

    /// Appends numbers of double precision, packed or single.
    pub(super) fn doubles(self, into: &mut Vec<f64>) -> Result<(), String> {
        match self {
            Self::Bytes(packed) => {
                let (numbers, []) = packed.as_chunks() else { return Err("packed numbers break off".into()) };
                into.extend(numbers.iter().map(|&number| f64::from_le_bytes(number)));
            }
            Self::Fixed64(bits) => into.push(f64::from_bits(bits)),
            _ => return Err("a field that must be a number is none".into()),
        }
        Ok(())
    }
}

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    raw: Vec<u8>,
}

impl Message {
    fn key(&mut self, number: u32, kind: u32) {
        self.varint(u64::from(number << 3 | kind));
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.raw.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.raw.push(number as u8);
    }

    /// Adds an integer.
    pub(super) fn int(&mut self, number: u32, value: i64) -> &mut Self {
        self.key(number, 0);
        self.varint(value as u64);
        self
    }

    /// Adds a number of single precision.
    pub(super) fn float(&mut self, number: u32, value: f32) -> &mut Self {
        self.key(number, 5);
        self.raw.extend(value.to_le_bytes());
        self
    }

    /// Adds text, bytes or a finished message.
    pub(super) fn bytes(&mut self, number: u32, value: impl AsRef<[u8]>) -> &mut Self {
        self.key(number, 2);
        self.varint(value.as_ref().len() as u64);
        self.raw.extend(value.as_ref());
        self
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.raw
    }
}

impl From<Message> for Vec<u8> {
    fn from(message: Message) -> Self {
        message.raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_encoding_guide_has_them() {
        // The examples of the protocol buffers encoding guide: a = 150; b = "testing"; packed 3, 270, 86942.
        let read = |raw: &'static [u8]| fields(raw).next().expect("one field").expect("intact");
        assert_eq!(read(b"\x08\x96\x01"), (1, Value::Varint(150)));
        assert_eq!(read(b"\x12\x07testing"), (2, Value::Bytes(b"testing")));
        let (number, packed) = read(b"\x32\x06\x03\x8e\x02\x9e\xa7\x05");
        let mut ints = Vec::new();
        packed.ints(&mut ints).expect("packed");
        assert_eq!((number, ints), (6, vec![3, 270, 86_942]));
    }

    #[test]
    fn a_written_message_reads_back() {
        let mut message = Message::default();
        message.int(1, -2).float(2, 0.5).bytes(3, "name");
        let read: Vec<_> = fields(message.as_ref()).collect::<Result<_, _>>().expect("intact");
        assert_eq!(read[0].1.int().expect("an integer"), -2);
        assert_eq!(read[1], (2, Value::Fixed32(0.5_f32.to_bits())));
        assert_eq!(read[2], (3, Value::Bytes(b"name")));
    }

    #[test]
    fn what_breaks_off_is_an_error_once() {
        for raw in
            [&b"\x08"[..], b"\x12\x7fshort", b"\x0b", b"\x00\x01", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            let read: Vec<_> = fields(raw).collect();
            assert!(matches!(read[..], [Err(_)]), "{read:?}");
        }
    }
}
