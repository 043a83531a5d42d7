//! The messages of an ONNX file that matter here (onnx.proto3 of ONNX 1.16), read and nothing more.

use super::wire::{Value, fields};
use crate::files::element::{Element, Endian};
use crate::files::error::Fault;

/// `ModelProto`.
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    pub(super) ir_version: i64,
    /// Version of the default operator set.
    pub(super) opset: i64,
    pub(super) producer: String,
    /// Operator sets besides the default one.
    pub(super) domains: Vec<String>,
    pub(super) notes: Vec<(String, String)>,
    pub(super) graph: Option<Graph<'a>>,
}

/// `GraphProto`.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) initialisers: Vec<Constant<'a>>,
    pub(super) has_sparse_initialisers: bool,
    pub(super) inputs: Vec<ValueInfo>,
    pub(super) outputs: Vec<ValueInfo>,
}

/// `NodeProto`.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) domain: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// `AttributeProto`.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: String,
    pub(super) float: Option<f32>,
    pub(super) int: Option<i64>,
    pub(super) text: Option<String>,
    pub(super) tensor: Option<Constant<'a>>,
    pub(super) ints: Vec<i64>,
}

/// `ValueInfoProto` of a tensor.
#[derive(Debug, Default)]
pub(super) struct ValueInfo {
    pub(super) name: String,
    /// Extents; `None` for those with a name or none at all. No shape at all is an empty list.
    pub(super) shape: Vec<Option<usize>>,
}

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

type Read<T> = Result<T, String>;

impl<'a> Model<'a> {
    pub(super) fn read(raw: &'a [u8]) -> Read<Self> {
        let mut model = Self::default();
        for field in fields(raw) {
            match field? {
                (1, value) => model.ir_version = value.int()?,
                (2, value) => model.producer = value.text()?,
                (7, value) => model.graph = Some(Graph::read(value.bytes()?)?),
                (8, value) => {
                    let (domain, version) = opset(value.bytes()?)?;
                    match domain.as_str() {
                        "" | "ai.onnx" => model.opset = version,
                        _ => model.domains.push(domain),
                    }
                }
                (14, value) => model.notes.push(entry(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(model)
    }
}

fn opset(raw: &[u8]) -> Read<(String, i64)> {
    let mut opset = (String::new(), 0);
    for field in fields(raw) {
        match field? {
            (1, value) => opset.0 = value.text()?,
            (2, value) => opset.1 = value.int()?,
            _ => {}
        }
    }
    Ok(opset)
}

fn entry(raw: &[u8]) -> Read<(String, String)> {
    let mut entry = (String::new(), String::new());
    for field in fields(raw) {
        match field? {
            (1, value) => entry.0 = value.text()?,
            (2, value) => entry.1 = value.text()?,
            _ => {}
        }
    }
    Ok(entry)
}

impl<'a> Graph<'a> {
    fn read(raw: &'a [u8]) -> Read<Self> {
        let mut graph = Self::default();
        for field in fields(raw) {
            match field? {
                (1, value) => graph.nodes.push(Node::read(value.bytes()?)?),
                (5, value) => graph.initialisers.push(Constant::read(value.bytes()?)?),
                (11, value) => graph.inputs.push(ValueInfo::read(value.bytes()?)?),
                (12, value) => graph.outputs.push(ValueInfo::read(value.bytes()?)?),
                (15, _) => graph.has_sparse_initialisers = true,
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'a> Node<'a> {
    fn read(raw: &'a [u8]) -> Read<Self> {
        let mut node = Self::default();
        for field in fields(raw) {
            match field? {
                (1, value) => node.inputs.push(value.text()?),
                (2, value) => node.outputs.push(value.text()?),
                (3, value) => node.name = value.text()?,
                (4, value) => node.op = value.text()?,
                (5, value) => node.attributes.push(Attribute::read(value.bytes()?)?),
                (7, value) => node.domain = value.text()?,
                _ => {}
            }
        }
        Ok(node)
    }
}

impl<'a> Attribute<'a> {
    fn read(raw: &'a [u8]) -> Read<Self> {
        let mut attribute = Self::default();
        for field in fields(raw) {
            match field? {
                (1, value) => attribute.name = value.text()?,
                (2, value) => attribute.float = Some(value.float()?),
                (3, value) => attribute.int = Some(value.int()?),
                (4, value) => attribute.text = Some(String::from_utf8_lossy(value.bytes()?).into_owned()),
                (5, value) => attribute.tensor = Some(Constant::read(value.bytes()?)?),
                (8, value) => value.ints(&mut attribute.ints)?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl ValueInfo {
    fn read(raw: &[u8]) -> Read<Self> {
        let mut info = Self::default();
        for field in fields(raw) {
            match field? {
                (1, value) => info.name = value.text()?,
                (2, value) => info.shape = tensor_type(value)?,
                _ => {}
            }
        }
        Ok(info)
    }
}

/// The shape in a `TypeProto`: its tensor type (1), the shape of that (2), its dimensions (1), their values (1).
fn tensor_type(value: Value<'_>) -> Read<Vec<Option<usize>>> {
    let mut shape = Vec::new();
    for tensor in nested(value, 1)? {
        for dimensions in nested(tensor, 2)? {
            for dimension in nested(dimensions, 1)? {
                let extent = nested(dimension, 1)?.first().map(|value| value.int()).transpose()?;
                shape.push(extent.and_then(|extent| usize::try_from(extent).ok()));
            }
        }
    }
    Ok(shape)
}

/// The fields numbered `number` of the message in `value`.
fn nested(value: Value<'_>, number: u32) -> Read<Vec<Value<'_>>> {
    let mut found = Vec::new();
    for field in fields(value.bytes()?) {
        let (at, value) = field?;
        if at == number {
            found.push(value);
        }
    }
    Ok(found)
}

impl<'a> Constant<'a> {
    fn read(raw: &'a [u8]) -> Read<Self> {
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
