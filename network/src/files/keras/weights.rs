//! From the variables of Keras layers to parameters as everyone else names and lays them out.

use crate::files::layout::permute;
use crate::tensor::Tensor;

/// Renames and lays out the arrays of a file: `conv2d/conv2d/kernel:0`, of shape height x width x inputs x outputs, becomes
/// `conv2d.weight`, of shape outputs x inputs x height x width.
pub(crate) fn convert(arrays: Vec<Tensor>) -> Vec<Tensor> {
    arrays.into_iter().map(convert_one).collect()
}

fn convert_one(array: Tensor) -> Tensor {
    let (layer, variable) = split(&array.name);
    let name = |parameter: &str| if layer.is_empty() { parameter.to_owned() } else { format!("{layer}.{parameter}") };
    let Tensor { shape, values, .. } = &array;
    match (variable.as_str(), shape.as_slice()) {
        ("kernel", &[_, _]) => transposed(name("weight"), shape, values, &[1, 0]),
        ("kernel", &[_, _, _]) => transposed(name("weight"), shape, values, &[2, 1, 0]),
        ("kernel", &[_, _, _, _]) => transposed(name("weight"), shape, values, &[3, 2, 0, 1]),
        ("depthwise_kernel", &[height, width, channels, multiplier]) => {
            let tensor = transposed(name("weight"), shape, values, &[2, 3, 0, 1]);
            Tensor { shape: vec![channels * multiplier, 1, height, width], ..tensor }
        }
        (variable, _) => {
            let parameter = match variable {
                "gamma" => "weight",
                "beta" => "bias",
                "moving_mean" => "running_mean",
                "moving_variance" => "running_var",
                other => other,
            };
            Tensor { name: name(parameter), ..array }
        }
    }
}

fn transposed(name: String, shape: &[usize], values: &[f32], axes: &[usize]) -> Tensor {
    let values = permute(shape, values, axes);
    Tensor { name, shape: axes.iter().map(|&axis| shape[axis]).collect(), values }
}

/// The layer and the variable of a path. Keras repeats the layer's name, after the model's in version 3:
/// `dense/dense/kernel:0`, `dense/sequential/dense/kernel`; a layer within a model within keeps both names.
fn split(path: &str) -> (String, String) {
    let mut parts: Vec<&str> = path.split('/').collect();
    let variable = parts.pop().unwrap_or_default();
    let variable = variable.split_once(':').map_or(variable, |(variable, _)| variable).to_owned();
    if let Some((&layer, rest)) = parts.split_first() {
        let repeated = rest.iter().rposition(|&part| part == layer).map_or(0, |at| at + 1);
        parts.drain(1..=repeated);
    }
    (parts.join("."), variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_every_version_give_the_layer() {
        for (path, layer, variable) in [
            ("conv2d_1/conv2d_1/kernel:0", "conv2d_1", "kernel"),
            ("dense/sequential/dense/bias", "dense", "bias"),
            ("inner/conv/gamma:0", "inner.conv", "gamma"),
            ("kernel", "", "kernel"),
        ] {
            assert_eq!(split(path), (layer.to_owned(), variable.to_owned()), "{path}");
        }
    }

    #[test]
    fn a_kernel_goes_from_hwio_to_oihw() {
        let values: Vec<f32> = (0_u8..24).map(f32::from).collect();
        let array = Tensor { name: "c/c/kernel:0".into(), shape: vec![1, 2, 3, 4], values };
        let kernel = convert_one(array);
        assert_eq!((kernel.name.as_str(), kernel.shape.as_slice()), ("c.weight", &[4, 3, 1, 2][..]));
        // Output 1, input 2, row 0, column 1 was at [0][1][2][1] of [1][2][3][4].
        assert_eq!(kernel.values[(3 + 2) * 2 + 1].to_bits(), f32::from((3_u8 + 2) * 4 + 1).to_bits());
    }
}
