//! Constant arrays of an ONNX file.

use super::model::Read;
use super::wire::fields;
use crate::files::element::{Element, Endian};
use crate::files::error::Fault;

/// `TensorProto`: a constant array.
#[derive(Clone, Debug, Default)]
pub(super) struct Constant<'a> {
    pub(super) name: String,
    pub(super) shape: Vec<i64>,
    data_type: i64,
    external: bool,
    raw: Option<&'a [u8]>,
    floats: Vec<f32>,
    ints: Vec<i64>,
    doubles: Vec<f64>,
}

impl<'a> Constant<'a> {
    pub(super) fn read(raw: &'a [u8]) -> Read<Self> {
        let mut constant = Self::default();
        for field in fields(raw) {
            match field? {
                (1, value) => value.ints(&mut constant.shape)?,
                (2, value) => constant.data_type = value.int()?,
                (4, value) => value.floats(&mut constant.floats)?,
                (5 | 7 | 11, value) => value.ints(&mut constant.ints)?,
                (8, value) => constant.name = value.text()?,
                (9, value) => constant.raw = Some(value.bytes()?),
                (10, value) => value.doubles(&mut constant.doubles)?,
                (13, _) => constant.external = true,
                (14, value) => constant.external |= value.int()? == 1,
                _ => {}
            }
        }
        Ok(constant)
    }

    /// A constant of one dimension made of the integers of an attribute.
    pub(super) fn of_ints(ints: Vec<i64>) -> Self {
        Self { shape: vec![ints.len() as i64], data_type: 7, ints, ..Self::default() }
    }

    /// The same as a list, or as a single number without dimensions.
    pub(super) fn of_ints_like(ints: Vec<i64>, list: bool) -> Self {
        let constant = Self::of_ints(ints);
        if list || constant.ints.len() != 1 { constant } else { Self { shape: Vec::new(), ..constant } }
    }

    /// A constant of `shape` made of numbers, as many as it asks for.
    pub(super) fn of_floats(shape: Vec<usize>, floats: Vec<f32>) -> Self {
        Self { shape: shape.into_iter().map(|extent| extent as i64).collect(), data_type: 1, floats, ..Self::default() }
    }

    /// The constant of `shape` made of the elements numbered `places`; whole numbers stay exact.
    pub(super) fn picked(&self, shape: &[usize], places: &[usize]) -> Result<Self, Fault> {
        let shape: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
        let lacking = || Fault::malformed("a constant has fewer elements than are taken from it");
        if matches!(self.data_type, 6 | 7) {
            let ints = self.integers()?;
            let ints =
                places.iter().map(|&place| ints.get(place).copied()).collect::<Option<_>>().ok_or_else(lacking)?;
            return Ok(Self { shape, data_type: 7, ints, ..Self::default() });
        }
        let floats = self.values()?;
        let floats =
            places.iter().map(|&place| floats.get(place).copied()).collect::<Option<_>>().ok_or_else(lacking)?;
        Ok(Self { shape, data_type: 1, floats, ..Self::default() })
    }

    /// Whether its numbers are whole.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.data_type, 6 | 7)
    }

    /// How many numbers it holds, whatever its shape claims.
    pub(super) fn len(&self) -> usize {
        // Raw numbers take a byte at least.
        self.raw.map_or(0, <[u8]>::len).max(self.floats.len()).max(self.ints.len()).max(self.doubles.len())
    }

    fn element(&self) -> Result<Element, Fault> {
        Ok(match self.data_type {
            1 => Element::F32,
            2 => Element::U8,
            3 => Element::I8,
            4 => Element::U16,
            5 => Element::I16,
            6 => Element::I32,
            7 => Element::I64,
            9 => Element::Bool,
            10 => Element::F16,
            11 => Element::F64,
            12 => Element::U32,
            13 => Element::U64,
            16 => Element::Bf16,
            other => {
                let problem = format!("holds `{}` of data type {other}", self.name);
                return Err(Fault::Unsupported(problem, "export the model in float32"));
            }
        })
    }

    /// Its shape, all extents known.
    pub(super) fn extents(&self) -> Result<Vec<usize>, Fault> {
        let known = |&extent: &i64| usize::try_from(extent);
        let extents = self.shape.iter().map(known).collect::<Result<_, _>>();
        extents.map_err(|_| Fault::malformed(format!("`{}` has the shape {:?}", self.name, self.shape)))
    }

    /// How many numbers it holds.
    pub(super) fn count(&self) -> Result<usize, Fault> {
        match self.data_type {
            6 | 7 => self.integers().map(|ints| ints.len()),
            _ => self.values().map(|values| values.len()),
        }
    }

    /// Its numbers.
    pub(super) fn values(&self) -> Result<Vec<f32>, Fault> {
        if self.external {
            let problem = format!("keeps `{}` in another file", self.name);
            return Err(Fault::Unsupported(problem, "save the model in one file: `onnx.save(model, path)`"));
        }
        let element = self.element()?;
        let little = |raw: Vec<u8>| element.decode(&raw, Endian::Little);
        let values = match (self.raw, element) {
            (Some(raw), _) => element.decode(raw, Endian::Little)?,
            (None, Element::F32) => self.floats.clone(),
            (None, Element::F64) => little(self.doubles.iter().flat_map(|number| number.to_le_bytes()).collect())?,
            // Half precision lies in 32-bit integers, as its bits; all else as its value.
            (None, _) => little(
                self.ints.iter().flat_map(|number| number.to_le_bytes().into_iter().take(element.size())).collect(),
            )?,
        };
        self.check(values.len())?;
        Ok(values)
    }

    /// Its whole numbers, exactly.
    pub(super) fn integers(&self) -> Result<Vec<i64>, Fault> {
        let integers: Vec<i64> = match (self.raw, self.data_type) {
            (Some(raw), 7) => raw.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect(),
            (Some(raw), 6) => raw.as_chunks().0.iter().map(|&bytes| i64::from(i32::from_le_bytes(bytes))).collect(),
            (None, 6 | 7) => self.ints.clone(),
            _ => return Err(Fault::malformed(format!("`{}` should hold whole numbers", self.name))),
        };
        self.check(integers.len())?;
        Ok(integers)
    }

    fn check(&self, found: usize) -> Result<(), Fault> {
        let wanted = self.extents()?.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent));
        if wanted == Some(found) {
            return Ok(());
        }
        Err(Fault::malformed(format!("`{}` of shape {:?} has {found} numbers", self.name, self.shape)))
    }
}
