//! The messages of an ONNX file that matter here (onnx.proto3 of ONNX 1.16), read and nothing more.

use super::constant::Constant;
use super::wire::{Value, fields};

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
    pub(super) texts: Vec<String>,
}

/// `ValueInfoProto` of a tensor.
#[derive(Debug, Default)]
pub(super) struct ValueInfo {
    pub(super) name: String,
    /// Extents; `None` for those with a name or none at all. No shape at all is an empty list.
    pub(super) shape: Vec<Option<usize>>,
}

pub(super) type Read<T> = Result<T, String>;

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
                (9, value) => attribute.texts.push(String::from_utf8_lossy(value.bytes()?).into_owned()),
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
