//! From a file's tensors to the weights of a network: names mapped, nothing missing, nothing left over.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::Fault;
use super::export::NETWORK;
use super::layout::permute;
use super::mismatch::{Mismatch, Misshapen, Named};
use super::names::NameMap;
use super::{Contents, FileError, Format, content, keras, onnx, read, recognise, safetensors};
use crate::graph::Network;
use crate::op::Op;
use crate::tensor::Tensor;
use crate::weights::Weights;

/// A network with the weights of a file.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The weights, of which every one came from the file.
    pub weights: Weights,
    /// The file's format.
    pub format: Format,
    /// Tensors of the file that were left out because no inference needs them, such as `bn1.num_batches_tracked`.
    pub ignored: Vec<String>,
    /// Whether the file's network ended in a softmax, which was left out: losses and attacks want logits.
    pub softmax_removed: bool,
    /// Texts and numbers beside the weights, such as `epoch`.
    pub metadata: BTreeMap<String, String>,
}

/// A network as a file describes it, and the tensors of the file.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) network: Network,
    pub(super) tensors: Vec<Tensor>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// What `PyTorch`'s batch normalisation counts and this program does not.
const COUNTER: &str = "num_batches_tracked";

/// What `PyTorch`'s `DataParallel` puts before every name.
const WRAPPER: &str = "module.";

/// Reads the weights of `network` from a file, strictly: every tensor is used, every parameter filled, every shape equal.
///
/// Names are mapped by `names`. Without rules for it, the prefix `module.` of `DataParallel` goes where all names have it.
/// Columns of a linear layer that follows a flattening are reordered for files of Keras, which flattens height x width x
/// channels.
///
/// # Errors
/// As [`read`], and where the tensors are not those of the network; the error lists every difference.
pub fn import(path: &Path, network: &Network, names: &NameMap) -> Result<Imported, FileError> {
    let (format, Contents { mut tensors, metadata }) = read(path)?;
    if !names.mentions(WRAPPER) && tensors.iter().all(|tensor| tensor.name.starts_with(WRAPPER)) {
        for tensor in &mut tensors {
            tensor.name.drain(..WRAPPER.len());
        }
    }
    let mut tensors = names.apply(tensors)?;
    let parameters = network.parameters();
    let is_ignored = |tensor: &Tensor| {
        tensor.name.rsplit('.').next() == Some(COUNTER) && parameters.iter().all(|known| known.name != tensor.name)
    };
    let ignored = tensors.extract_if(.., |(_, tensor)| is_ignored(tensor)).map(|(original, _)| original).collect();
    if format == Format::Keras {
        as_keras_meant(network, &mut tensors);
    }
    let weights = weigh(path, format, network, tensors)?;
    Ok(Imported { weights, format, ignored, softmax_removed: false, metadata })
}

/// Reads a network and its weights from a file that describes both: ONNX, Keras HDF5, or safetensors that this program wrote.
///
/// # Errors
/// As [`read`]; where the format holds weights alone; and where the file's graph needs what this program lacks, of which
/// the error lists everything.
pub fn import_with_graph(path: &Path) -> Result<Imported, FileError> {
    let raw = content(path)?;
    let format = recognise(path, &raw)?;
    let Described { network, tensors, metadata } = match format {
        Format::Onnx => onnx::network(&raw),
        Format::Keras => keras::network(raw),
        Format::Safetensors => described(&raw),
        Format::PyTorch | Format::Npz => Err(weights_alone()),
    }
    .map_err(|fault| fault.of(path, format))?;
    // A network that this program described is taken as it is.
    let (network, softmax_removed) =
        if format == Format::Safetensors { (network, false) } else { without_softmax(network) };
    let mut tensors: Vec<_> = tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    if format == Format::Keras {
        as_keras_meant(&network, &mut tensors);
    }
    let weights = weigh(path, format, &network, tensors)?;
    Ok(Imported { weights, format, ignored: Vec::new(), softmax_removed, metadata })
}

/// The network and the tensors of a safetensors file that this program wrote.
fn described(raw: &[u8]) -> Result<Described, Fault> {
    let Contents { tensors, mut metadata } = safetensors::read(raw)?;
    let network = metadata.remove(NETWORK).ok_or_else(weights_alone)?;
    let network = serde_json::from_str(&network).map_err(Fault::malformed)?;
    Ok(Described { network, tensors, metadata })
}

fn weights_alone() -> Fault {
    let fix = "name the architecture, or export the model as ONNX";
    Fault::Unsupported("holds weights without a network".into(), fix)
}

/// The network up to its logits, and whether a softmax followed them.
fn without_softmax(network: Network) -> (Network, bool) {
    match network.nodes() {
        [nodes @ .., last] if last.op == Op::Softmax && !nodes.is_empty() && last.inputs == [nodes.len()] => {
            let shorter = Network::new(network.input().to_vec(), nodes.to_vec());
            shorter.map_or((network, false), |shorter| (shorter, true))
        }
        _ => (network, false),
    }
}

/// `network` with `tensors`, which must be its parameters.
fn weigh(path: &Path, format: Format, network: &Network, tensors: Vec<(String, Tensor)>) -> Result<Weights, FileError> {
    let tensors = fit(network, tensors)
        .map_err(|mismatch| FileError::Mismatch { path: path.to_owned(), mismatch: Box::new(mismatch) })?;
    Weights::new(network.clone(), tensors).map_err(|error| Fault::malformed(error).of(path, format))
}

/// The tensors if they are the parameters of the network, else every difference.
fn fit(network: &Network, tensors: Vec<(String, Tensor)>) -> Result<Vec<Tensor>, Mismatch> {
    let named = |name: &str, shape: &[usize]| Named { name: name.to_owned(), shape: shape.to_vec() };
    let mut mismatch = Mismatch::default();
    let mut given: BTreeMap<String, (String, Tensor)> = BTreeMap::new();
    for (original, tensor) in tensors {
        let later = named(&original, &tensor.shape);
        if let Some((original, tensor)) = given.insert(tensor.name.clone(), (original, tensor)) {
            mismatch.duplicates.push((named(&original, &tensor.shape), later));
        }
    }
    let mut fitting = Vec::with_capacity(given.len());
    for parameter in network.parameters() {
        match given.remove(&parameter.name) {
            None => mismatch.missing.push(named(&parameter.name, &parameter.shape)),
            Some((_, tensor)) if tensor.shape != parameter.shape => mismatch.misshapen.push(Misshapen {
                name: tensor.name,
                wanted: parameter.shape.clone(),
                found: tensor.shape,
            }),
            Some((_, tensor)) => fitting.push(tensor),
        }
    }
    mismatch.unexpected.extend(given.into_values().map(|(original, tensor)| named(&original, &tensor.shape)));
    if mismatch.is_empty() { Ok(fitting) } else { Err(mismatch) }
}

/// What the layout of a Keras tensor means where only the network tells.
fn as_keras_meant(network: &Network, tensors: &mut [(String, Tensor)]) {
    reorder_flattened(network, tensors);
    for (node, index) in network.nodes().iter().zip(1..) {
        let Op::Conv2d(convolution) = &node.op else { continue };
        let Some(parameter) = network.parameters()[network.parameters_of(index)].first() else { continue };
        let named = tensors.iter_mut().find(|(_, tensor)| tensor.name == parameter.name);
        let Some((_, tensor)) = named.filter(|(_, tensor)| tensor.shape != parameter.shape) else { continue };
        // Version 3 names a depthwise kernel like any other; its last two extents are channels and outputs of each.
        if let [multiple, channels, height, width] = tensor.shape[..]
            && channels == convolution.groups
            && parameter.shape == [channels * multiple, 1, height, width]
        {
            tensor.values = permute(&tensor.shape, &tensor.values, &[1, 0, 2, 3]);
            tensor.shape.clone_from(&parameter.shape);
        }
    }
}

/// Puts the features of layers behind a flattening from height x width x channels into channels x height x width.
fn reorder_flattened(network: &Network, tensors: &mut [(String, Tensor)]) {
    for (index, node) in network.nodes().iter().enumerate() {
        let Some([channels, height, width]) = flattened_image(network, node.inputs[0]) else { continue };
        let axis = match node.op {
            Op::Linear(_) => 1,
            Op::BatchNorm(_) | Op::ScaleShift(_) => 0,
            _ => continue,
        };
        for parameter in &network.parameters()[network.parameters_of(index + 1)] {
            let of_features = parameter.shape.get(axis) == Some(&(channels * height * width));
            let tensor = tensors.iter_mut().find(|(_, tensor)| tensor.name == parameter.name);
            if let Some((_, tensor)) = tensor.filter(|(_, tensor)| of_features && tensor.shape == parameter.shape) {
                let rows = parameter.shape[..axis].iter().product();
                tensor.values = permute(&[rows, height, width, channels], &tensor.values, &[0, 3, 1, 2]);
            }
        }
    }
}

/// The image whose values, flattened, are the features of value `value`, if more than channels are flattened.
fn flattened_image(network: &Network, mut value: usize) -> Option<[usize; 3]> {
    loop {
        let node = network.nodes().get(value.checked_sub(1)?)?;
        value = node.inputs[0];
        match node.op {
            Op::Activation(_) | Op::Dropout(_) | Op::Crash(_) | Op::BatchNorm(_) | Op::ScaleShift(_) => {}
            Op::Flatten | Op::Reshape(_) => {
                let image = <[usize; 3]>::try_from(network.shapes()[value].as_slice()).ok()?;
                return (image[1] * image[2] > 1).then_some(image);
            }
            _ => return None,
        }
    }
}
