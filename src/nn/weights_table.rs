//! Weights and masks as tables: a tensor a row, so that a norm per layer is one line of SQL.
//!
//! Columns are `name`, `shape` and `values` (row-major; 0 or 1 in a mask). The network is JSON in the schema's metadata under
//! [`NETWORK_KEY`], and so part of the table's identity.

use duress_cache::{Cell, ColumnSpec, Table, TableBuilder, TableError};
use thiserror::Error;

use duress_network::weights::WeightsError;
use duress_network::{Network, Tensor, Weights};

use super::mask::{Mask, MaskError, MaskTensor};

/// Where in the schema's metadata the network is.
pub const NETWORK_KEY: &str = "duress.network";

/// A table that holds no weights or no mask.
#[derive(Debug, Error)]
pub enum WeightsTableError {
    /// The table is not made as it should be.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The tensors do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The masks do not fit the network.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// The network is missing or garbled.
    #[error("read the network of a table: {0}; use a table that a training or a pruning wrote")]
    Network(String),
    /// A mask holds something other than 0 and 1.
    #[error("read mask `{0}`: it holds a value other than 0 and 1; use a mask, not weights")]
    NotAMask(String),
    /// An extent of a shape is negative.
    #[error("read tensor `{0}`: its shape has a negative extent; use a table that a training or a pruning wrote")]
    Shape(String),
}

/// `weights` as a table.
///
/// # Errors
/// None that sound weights can cause.
pub fn weights_to_table(weights: &Weights) -> Result<Table, WeightsTableError> {
    let rows = weights.tensors().iter().map(|tensor| (tensor.name.as_str(), &tensor.shape, tensor.values.clone()));
    tensors_to_table(weights.network(), "parameter, row-major", rows)
}

/// The weights in `table`.
///
/// # Errors
/// Where the table has other columns, no network, or tensors that do not fit the network.
pub fn weights_from_table(table: &Table) -> Result<Weights, WeightsTableError> {
    Ok(Weights::new(network_of(table)?, tensors_of(table)?)?)
}

/// `mask` of `network` as a table.
///
/// # Errors
/// Where the mask does not fit the network.
pub fn mask_to_table(mask: &Mask, network: &Network) -> Result<Table, WeightsTableError> {
    mask.validate(network)?;
    let rows = mask.tensors.iter().map(|tensor| {
        let values = tensor.keep.iter().map(|&keep| f32::from(u8::from(keep))).collect();
        (tensor.name.as_str(), &tensor.shape, values)
    });
    tensors_to_table(network, "1 where the weight is kept, else 0, row-major", rows)
}

/// The mask in `table` and the network that it belongs to.
///
/// # Errors
/// Where the table has other columns, no network, values other than 0 and 1, or tensors that do not fit the network.
pub fn mask_from_table(table: &Table) -> Result<(Mask, Network), WeightsTableError> {
    let network = network_of(table)?;
    let tensors = tensors_of(table)?
        .into_iter()
        .map(|tensor| {
            let keep = tensor.values.iter().map(|&value| flag(value)).collect::<Option<Vec<bool>>>();
            let keep = keep.ok_or_else(|| WeightsTableError::NotAMask(tensor.name.clone()))?;
            Ok(MaskTensor { name: tensor.name, shape: tensor.shape, keep })
        })
        .collect::<Result<_, WeightsTableError>>()?;
    let mask = Mask { tensors };
    mask.validate(&network)?;
    Ok((mask, network))
}

/// What 0 and 1 stand for in a mask.
fn flag(value: f32) -> Option<bool> {
    [(0.0_f32, false), (1.0, true)].iter().find(|(known, _)| known.to_bits() == value.to_bits()).map(|(_, keep)| *keep)
}

/// The network that the weights or the mask in `table` belong to.
///
/// # Errors
/// Where there is none, or it is none that can be.
pub fn network_of(table: &Table) -> Result<Network, WeightsTableError> {
    let broken = |what: String| WeightsTableError::Network(what);
    let text = table.metadata(NETWORK_KEY).ok_or_else(|| broken(format!("there is no `{NETWORK_KEY}`")))?;
    serde_json::from_str(text).map_err(|error| broken(error.to_string()))
}

fn tensors_to_table<'a>(
    network: &Network,
    doc: &str,
    rows: impl Iterator<Item = (&'a str, &'a Vec<usize>, Vec<f32>)>,
) -> Result<Table, WeightsTableError> {
    let json = serde_json::to_string(network).map_err(|error| WeightsTableError::Network(error.to_string()))?;
    let mut builder =
        TableBuilder::new()
            .metadata(NETWORK_KEY, &json)
            .column(ColumnSpec::text("name").doc("name of the parameter"))
            .column(ColumnSpec::integers("shape").doc(
                "extents: [outputs, inputs] of a linear weight, [outputs, inputs, rows, columns] of a convolution",
            ))
            .column(ColumnSpec::floats("values").doc(doc));
    for (name, shape, values) in rows {
        let shape: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
        builder.push([Cell::from(name), Cell::from(shape), Cell::from(values)])?;
    }
    Ok(builder.finish()?)
}

fn tensors_of(table: &Table) -> Result<Vec<Tensor>, WeightsTableError> {
    let (names, shapes, values) = (table.strings("name")?, table.i64_lists("shape")?, table.f32_lists("values")?);
    let rows = names.iter().zip(shapes).zip(values);
    rows.map(|((name, shape), values)| {
        let name = name.unwrap_or_default().to_owned();
        let shape = shape.values().iter().map(|&extent| usize::try_from(extent)).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|_| WeightsTableError::Shape(name.clone()))?;
        Ok(Tensor { name, shape, values: values.values().to_vec() })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;
    use crate::nn::mlp::Mlp;
    use duress_network::{Init, Scheme};

    fn weights() -> Weights {
        with(Activation::Sigmoid { gain: 4.0 })
    }

    fn with(activation: Activation) -> Weights {
        let net = Mlp::new(4, &[3], 2, activation, true).graph().unwrap();
        net.initialize(&Scheme::new(Init::HeNormal, Init::Normal { std: 0.1 }), 3)
    }

    #[test]
    fn weights_survive_a_table_and_are_a_tensor_a_row() {
        let table = weights_to_table(&weights()).unwrap();
        assert_eq!(table.rows(), 4);
        assert_eq!(table.strings("name").unwrap().value(1), "hidden.1.bias");
        assert_eq!(table.i64_lists("shape").unwrap()[0].values().as_ref(), [3, 4]);
        assert_eq!(weights_from_table(&table).unwrap(), weights());
    }

    #[test]
    fn a_mask_survives_a_table_and_weights_are_no_mask() {
        let mut mask = Mask::full(weights().network());
        mask.tensors[1].keep[2] = false;
        let table = mask_to_table(&mask, weights().network()).unwrap();
        assert_eq!(mask_from_table(&table).unwrap(), (mask, weights().network().clone()));
        let error = mask_from_table(&weights_to_table(&weights()).unwrap()).unwrap_err();
        assert!(matches!(error, WeightsTableError::NotAMask(name) if name == "hidden.1.weight"));
    }

    #[test]
    fn the_activation_is_part_of_the_tables_identity() {
        let other = with(Activation::Tanh);
        assert_ne!(weights_to_table(&weights()).unwrap().digest(), weights_to_table(&other).unwrap().digest());
    }

    #[test]
    fn tables_of_something_else_are_refused() {
        let table = weights_to_table(&weights()).unwrap().with_metadata(NETWORK_KEY, "{}").unwrap();
        assert!(matches!(weights_from_table(&table), Err(WeightsTableError::Network(_))));
        let mut tensors = weights().into_tensors();
        tensors.pop();
        let rows = tensors.iter().map(|t| (t.name.as_str(), &t.shape, t.values.clone()));
        let short = tensors_to_table(weights().network(), "", rows).unwrap();
        let error = weights_from_table(&short).unwrap_err();
        assert!(matches!(error, WeightsTableError::Weights(error) if error.missing == ["output.bias"]));
    }
}
