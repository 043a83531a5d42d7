//! Weights and masks as tables: a tensor a row, the network they belong to in the table's metadata.

use duress_cache::{Table, TableBuilder, TableError};

use crate::nn::{Mask, MaskTensor, Network, Tensor, Weights, WeightsError};

/// The key of the metadata under which a table of weights says its network, as JSON.
pub(crate) const NETWORK: &str = "network";

/// A table that does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub enum TensorTableError {
    /// A column is missing or of another type.
    #[error(transparent)]
    Table(#[from] TableError),
    /// There is no network in the metadata, or it cannot be read.
    #[error("read the network of a table of weights: {0}; make the table with `train` or import it")]
    Network(String),
    /// The tensors do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// The table of `weights`: `name`, `shape`, `values`.
///
/// # Errors
/// None that sound weights can cause.
pub fn weights_table(weights: &Weights) -> Result<Table, TensorTableError> {
    let rows = weights.tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), t.values.clone()));
    tensor_table(&weights.network, rows)
}

/// The weights in a table that [`weights_table`] made.
///
/// # Errors
/// [`TensorTableError`] where the table lacks a column, its network, or one of its network's tensors.
pub fn weights_of(table: &Table) -> Result<Weights, TensorTableError> {
    let tensors = rows(table)?.map(|(name, shape, values)| Tensor { name, shape, values }).collect();
    Ok(Weights::new(network_of(table)?, tensors)?)
}

/// The table of `mask`: as of weights, with 1 for a weight that is kept and 0 for one that is not.
///
/// # Errors
/// None that a sound mask can cause.
pub fn mask_table(network: &Network, mask: &Mask) -> Result<Table, TensorTableError> {
    let values = |t: &MaskTensor| t.keep.iter().map(|keep| f32::from(u8::from(*keep))).collect();
    tensor_table(network, mask.tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), values(t))))
}

/// The mask in a table that [`mask_table`] made; anything but 0 is kept.
///
/// # Errors
/// As for [`weights_of`].
pub fn mask_of(table: &Table) -> Result<Mask, TensorTableError> {
    let keep = |values: Vec<f32>| values.into_iter().map(|v| v != 0.0).collect();
    let tensors = rows(table)?.map(|(name, shape, values)| MaskTensor { name, shape, keep: keep(values) });
    let mask = Mask { tensors: tensors.collect() };
    mask.validate(&network_of(table)?)?;
    Ok(mask)
}

fn network_of(table: &Table) -> Result<Network, TensorTableError> {
    let text = table.metadata(NETWORK).ok_or_else(|| TensorTableError::Network("there is none".to_owned()))?;
    serde_json::from_str(text).map_err(|error| TensorTableError::Network(error.to_string()))
}

fn tensor_table<'a>(
    network: &Network,
    rows: impl Iterator<Item = (&'a str, &'a [usize], Vec<f32>)>,
) -> Result<Table, TensorTableError> {
    let json = serde_json::to_string(network).map_err(|error| TensorTableError::Network(error.to_string()))?;
    let mut table = TableBuilder::new().text("name").integers("shape").floats("values").metadata(NETWORK, &json);
    for (name, shape, values) in rows {
        let shape: Vec<i64> = shape.iter().map(|extent| *extent as i64).collect();
        table.push([name.into(), shape.into(), values.into()])?;
    }
    Ok(table.finish()?)
}

type Row = (String, Vec<usize>, Vec<f32>);

fn rows(table: &Table) -> Result<impl Iterator<Item = Row>, TableError> {
    let (names, shapes, values) = (table.strings("name")?, table.i64_lists("shape")?, table.f32_lists("values")?);
    let names: Vec<String> = names.iter().map(|name| name.unwrap_or_default().to_owned()).collect();
    Ok(names.into_iter().zip(shapes).zip(values).map(|((name, shape), values)| {
        (name, shape.values().iter().map(|extent| *extent as usize).collect(), values.values().to_vec())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, Init};

    #[test]
    fn weights_and_masks_survive_their_tables_bit_for_bit() {
        let network = Network::mlp(5, &[4], 3, Activation::Sigmoid { gain: 4.0 }, true);
        let mut weights = network.initialize(Init::GlorotUniform, Init::Normal { std: 0.1 }, 1);
        weights.tensors[0].values[2] = -0.0;
        let back = weights_of(&weights_table(&weights).expect("sound")).expect("sound");
        assert_eq!(back, weights);
        assert!(back.tensors[0].values[2].is_sign_negative());
        let mut mask = Mask::full(&network);
        mask.tensors[1].keep[3] = false;
        assert_eq!(mask_of(&mask_table(&network, &mask).expect("sound")).expect("sound"), mask);
    }

    #[test]
    fn a_table_without_network_or_tensor_says_so() {
        let bare = TableBuilder::new().text("name").integers("shape").floats("values");
        let error = weights_of(&bare.finish().expect("empty")).expect_err("no network").to_string();
        assert!(error.contains("there is none"), "{error}");
        let network = Network::mlp(2, &[], 1, Activation::Identity, false);
        let empty = tensor_table(&network, std::iter::empty()).expect("empty");
        assert!(weights_of(&empty).expect_err("no tensors").to_string().contains("output.weight"));
    }
}
