//! Each kind of Keras layer as operations of this program.

use serde_json::Value as Json;

use crate::activation::Activation;
use crate::op::{AvgPool, BatchNorm, Conv2d, Dropout, LayerNorm, Linear, MaxPool, Normalise, Op, Window};

/// An operation of a layer.
pub(super) struct Piece {
    /// What is appended to the layer's name.
    pub(super) suffix: &'static str,
    pub(super) op: Op,
}

impl Piece {
    fn new(op: impl Into<Op>) -> Self {
        Self { suffix: "", op: op.into() }
    }
}

/// The operations of a layer of `class` that reads `input`, none for layers that do nothing.
pub(super) fn pieces(class: &str, config: &Json, input: &[usize]) -> Result<Vec<Piece>, String> {
    let layer: Op = match class {
        "InputLayer" => return Ok(Vec::new()),
        "Conv2D" | "DepthwiseConv2D" => convolution(class, config, input)?.into(),
        "Dense" => Linear { outputs: extent(config, "units")?, bias: flag(config, "use_bias", true) }.into(),
        "BatchNormalization" => batch_norm(config, input)?.into(),
        "LayerNormalization" => LayerNorm { eps: number(config, "epsilon", 1e-3) }.into(),
        "Activation" => return Ok(activation(text(config, "activation"))?.into_iter().map(Piece::new).collect()),
        "ReLU" => rectifier(config)?.into(),
        "LeakyReLU" => {
            // `alpha` until version 2, `negative_slope` after.
            Activation::LeakyRelu { slope: number(config, "negative_slope", number(config, "alpha", 0.3)) }.into()
        }
        "ELU" => Activation::Elu { alpha: number(config, "alpha", 1.0) }.into(),
        "Softmax" => Op::Softmax,
        "MaxPooling2D" => {
            let Window { kernel, stride, padding, .. } = window(config, "pool_size", input)?;
            MaxPool { kernel, stride, padding }.into()
        }
        "AveragePooling2D" => {
            let Window { kernel, stride, padding, .. } = window(config, "pool_size", input)?;
            AvgPool { kernel, stride, padding, count_include_pad: false }.into()
        }
        "GlobalAveragePooling2D" if flag(config, "keepdims", false) => {
            return Err("keeps the image's dimensions, which is not supported".into());
        }
        "GlobalAveragePooling2D" => Op::GlobalAvgPool,
        "Flatten" => Op::Flatten,
        "Add" => Op::Add,
        "Concatenate" => Op::Concat,
        "Dropout" => Dropout { rate: number(config, "rate", 0.0) }.into(),
        "Rescaling" => rescaling(config)?.into(),
        _ => return Err("is of a kind that is not supported; replace it or convert the model to ONNX".into()),
    };
    let mut pieces = vec![Piece::new(layer)];
    if matches!(class, "Conv2D" | "DepthwiseConv2D" | "Dense") {
        let name = config["activation"].as_str().unwrap_or("linear");
        pieces.extend(activation(name)?.map(|op| Piece { suffix: "activation", op }));
    }
    Ok(pieces)
}

fn convolution(class: &str, config: &Json, input: &[usize]) -> Result<Conv2d, String> {
    let Window { kernel, stride, padding, dilation } = window(config, "kernel_size", input)?;
    let bias = flag(config, "use_bias", true);
    let groups = if config["groups"].is_null() { 1 } else { extent(config, "groups")? };
    let (outputs, groups) = if class == "Conv2D" {
        (extent(config, "filters")?, groups)
    } else {
        let channels = input.first().copied().unwrap_or(1);
        (channels.saturating_mul(extent(config, "depth_multiplier")?), channels)
    };
    Ok(Conv2d { outputs, kernel, stride, padding, dilation, groups, bias })
}

/// The window of a convolution or pooling; `strides` of a pooling default to its size.
fn window(config: &Json, size: &'static str, input: &[usize]) -> Result<Window, String> {
    let format = config["data_format"].as_str().unwrap_or("channels_last");
    if format != "channels_last" {
        return Err(format!("has data_format = {format}, where only channels_last is supported"));
    }
    let kernel = pair(config, size)?;
    let stride = if config["strides"].is_null() { kernel } else { pair(config, "strides")? };
    let dilation = if config["dilation_rate"].is_null() { [1; 2] } else { pair(config, "dilation_rate")? };
    let window = Window { kernel, stride, padding: [0; 4], dilation };
    match text(config, "padding") {
        "valid" => Ok(window),
        "same" => {
            let &[_, height, width] = input else { return Err(format!("reads {input:?}, which is no image")) };
            Ok(window.same(height, width))
        }
        other => Err(format!("has padding = {other}, which is not supported")),
    }
}

fn batch_norm(config: &Json, input: &[usize]) -> Result<BatchNorm, String> {
    // Channels are last: axis 3 of a batch of images, axis 1 of a batch of vectors.
    let axis = config["axis"].as_i64().or_else(|| config["axis"][0].as_i64()).unwrap_or(-1);
    if axis != -1 && axis != input.len() as i64 {
        return Err(format!("normalises axis {axis}, where only channels are supported"));
    }
    if !flag(config, "center", true) || !flag(config, "scale", true) {
        return Err("lacks its scale or its offset; save it with both".into());
    }
    // Keras weighs the old statistics, this program the new ones.
    let momentum = (1.0 - number(config, "momentum", 0.99)) as f32;
    Ok(BatchNorm { eps: number(config, "epsilon", 1e-3), momentum: momentum.to_string().parse().unwrap_or(0.01) })
}

fn rectifier(config: &Json) -> Result<Activation, String> {
    let (slope, threshold) = (number(config, "negative_slope", 0.0), number(config, "threshold", 0.0));
    if threshold != 0.0 {
        return Err(format!("has threshold = {threshold}, which is not supported"));
    }
    match config["max_value"].as_f64() {
        None if slope == 0.0 => Ok(Activation::relu()),
        None => Ok(Activation::LeakyRelu { slope }),
        Some(high) if slope == 0.0 => Ok(Activation::Clip { low: 0.0, high }),
        Some(_) => Err("has both a slope and a limit, which is not supported".into()),
    }
}

/// `scale * x + offset` as `(x - mean) / std`.
fn rescaling(config: &Json) -> Result<Normalise, String> {
    match (config["scale"].as_f64(), config["offset"].as_f64()) {
        (Some(scale), Some(offset)) if scale > 0.0 => {
            Ok(Normalise { mean: vec![0.0 - offset / scale], std: vec![scale.recip()] })
        }
        _ => Err("rescales by other than one positive number and one offset, which is not supported".into()),
    }
}

/// The function called `name`; none for `linear`.
fn activation(name: &str) -> Result<Option<Op>, String> {
    Ok(Some(match name {
        "linear" => return Ok(None),
        "relu" => Activation::relu().into(),
        "relu6" => Activation::relu6().into(),
        "sigmoid" => Activation::sigmoid().into(),
        "tanh" => Activation::Tanh.into(),
        "softplus" => Activation::Softplus.into(),
        "elu" => Activation::Elu { alpha: 1.0 }.into(),
        "gelu" => Activation::Gelu.into(),
        "softmax" => Op::Softmax,
        other => return Err(format!("has the activation `{other}`, which is not supported")),
    }))
}

fn text<'a>(config: &'a Json, key: &str) -> &'a str {
    config[key].as_str().unwrap_or_default()
}

fn flag(config: &Json, key: &str, default: bool) -> bool {
    config[key].as_bool().unwrap_or(default)
}

fn number(config: &Json, key: &str, default: f64) -> f64 {
    config[key].as_f64().unwrap_or(default)
}

fn extent(config: &Json, key: &str) -> Result<usize, String> {
    let extent = config[key].as_u64().and_then(|extent| usize::try_from(extent).ok());
    extent.ok_or_else(|| format!("has {key} = {}, where a whole number belongs", config[key]))
}

fn pair(config: &Json, key: &str) -> Result<[usize; 2], String> {
    let at = |index: usize| config[key][index].as_u64().and_then(|extent| usize::try_from(extent).ok());
    match (at(0), at(1)) {
        (Some(rows), Some(columns)) => Ok([rows, columns]),
        _ => Err(format!("has {key} = {}, where two whole numbers belong", config[key])),
    }
}
