//! [`Cell`]: one value of a row, and what can be written for it.

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing; only where the column is nullable.
    Null,
    /// Text.
    Text(String),
    /// A 64-bit float.
    Float(f64),
    /// A 64-bit integer.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// A list of 32-bit floats: a tensor's values, an image.
    Floats(Vec<f32>),
    /// A list of 64-bit integers: a shape.
    Integers(Vec<i64>),
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {$(
        impl From<$source> for Cell {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    &str => Text, String => Text, &String => Text,
    f64 => Float, f32 => Float,
    i64 => Integer, i32 => Integer, u32 => Integer,
    bool => Boolean,
    Vec<f32> => Floats, &[f32] => Floats,
    Vec<i64> => Integers, &[i64] => Integers,
}

impl From<usize> for Cell {
    /// Counts beyond 63 bits, which no memory holds, stay at the largest.
    fn from(value: usize) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Cell {
    /// Beyond 63 bits it stays at the largest.
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Cell {
    /// What it is, for an error.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "text",
            Self::Float(_) => "a float",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::Floats(_) => "a list of floats",
            Self::Integers(_) => "a list of integers",
        }
    }
}
