//! The arrays and the model description in an HDF5 file, walked without following links out of it or in circles.

use std::collections::{BTreeMap, BTreeSet};

use hdf5_reader::group::Group;
use hdf5_reader::{ByteOrder, Dataset, Datatype, Hdf5File, OpenOptions};

use super::Contents;
use super::element::{Element, Endian};
use super::error::Fault;
use crate::tensor::Tensor;

/// Groups nested deeper than this are no weights.
const DEEPEST: usize = 32;

/// Reads every array outside of optimiser state, named by its path (`conv2d/conv2d/kernel:0`), from a file that unpacks to
/// `limit` bytes at most.
pub(super) fn read(raw: Vec<u8>, limit: usize) -> Result<Contents, Fault> {
    let options = OpenOptions::default()
        .with_chunk_cache_bytes(0)
        .with_max_chunk_bytes(limit)
        .with_max_read_bytes(limit)
        .with_max_object_header_bytes(raw.len());
    let file = Hdf5File::from_vec_with_options(raw, options).map_err(Fault::malformed)?;
    let root = file.root_group().map_err(Fault::malformed)?;
    let metadata = texts(&root)?;
    let (groups, _) = root.member_names().map_err(Fault::malformed)?;
    let weights = if groups.iter().any(|name| name == "model_weights") {
        root.group("model_weights").map_err(Fault::malformed)?
    } else {
        root
    };
    let mut walk = Walk { seen: BTreeSet::new(), left: limit, tensors: Vec::new() };
    walk.group(&weights, "", 0)?;
    Ok(Contents { tensors: walk.tensors, metadata })
}

/// The attributes that are single texts, such as `model_config`.
fn texts(root: &Group) -> Result<BTreeMap<String, String>, Fault> {
    let attributes = root.attributes().map_err(Fault::malformed)?;
    let texts = attributes.into_iter().filter_map(|attribute| {
        let text = attribute.read_string().ok()?;
        Some((attribute.name, text))
    });
    Ok(texts.collect())
}

struct Walk {
    /// Addresses of the groups so far: one that contains itself would never end, and one linked often would take long.
    seen: BTreeSet<u64>,
    left: usize,
    tensors: Vec<Tensor>,
}

impl Walk {
    fn group(&mut self, group: &Group, path: &str, depth: usize) -> Result<(), Fault> {
        if depth > DEEPEST || !self.seen.insert(group.address()) {
            return Err(Fault::malformed(format!("group `{path}` is linked twice")));
        }
        let (groups, datasets) = group.members().map_err(Fault::malformed)?;
        for dataset in &datasets {
            let name = join(path, dataset.name());
            self.dataset(dataset, name)?;
        }
        for group in &groups {
            // State of the optimiser: moments as large as the weights, which nobody wants here.
            if !(depth == 0 && matches!(group.name(), "optimizer_weights" | "optimizer" | "_optimizer")) {
                self.group(group, &join(path, group.name()), depth + 1)?;
            }
        }
        Ok(())
    }

    fn dataset(&mut self, dataset: &Dataset, name: String) -> Result<(), Fault> {
        let (element, endian) = element(dataset.dtype()).ok_or_else(|| {
            Fault::Unsupported(format!("holds `{name}`, which is no array of numbers"), "save the weights alone")
        })?;
        let extents = dataset.shape().iter().map(|&extent| usize::try_from(extent)).collect::<Result<Vec<_>, _>>();
        let shape = extents.map_err(Fault::malformed)?;
        self.left -= element.bytes(&shape, self.left)?;
        let raw = dataset.read_raw_bytes().map_err(Fault::malformed)?;
        let values = element.decode(&raw, endian)?;
        if values.len() != shape.iter().product::<usize>() {
            return Err(Fault::malformed(format!("`{name}` of shape {shape:?} holds {} numbers", values.len())));
        }
        self.tensors.push(Tensor { name, shape, values });
        Ok(())
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

fn element(datatype: &Datatype) -> Option<(Element, Endian)> {
    let (element, order) = match *datatype {
        Datatype::FloatingPoint { size: 8, byte_order } => (Element::F64, byte_order),
        Datatype::FloatingPoint { size: 4, byte_order } => (Element::F32, byte_order),
        Datatype::FloatingPoint { size: 2, byte_order } => (Element::F16, byte_order),
        Datatype::FixedPoint { size: 8, signed: true, byte_order } => (Element::I64, byte_order),
        Datatype::FixedPoint { size: 4, signed: true, byte_order } => (Element::I32, byte_order),
        Datatype::FixedPoint { size: 2, signed: true, byte_order } => (Element::I16, byte_order),
        Datatype::FixedPoint { size: 1, signed: true, byte_order } => (Element::I8, byte_order),
        Datatype::FixedPoint { size: 8, signed: false, byte_order } => (Element::U64, byte_order),
        Datatype::FixedPoint { size: 4, signed: false, byte_order } => (Element::U32, byte_order),
        Datatype::FixedPoint { size: 2, signed: false, byte_order } => (Element::U16, byte_order),
        Datatype::FixedPoint { size: 1, signed: false, byte_order } => (Element::U8, byte_order),
        _ => return None,
    };
    let endian = match order {
        ByteOrder::LittleEndian => Endian::Little,
        ByteOrder::BigEndian => Endian::Big,
    };
    Some((element, endian))
}
