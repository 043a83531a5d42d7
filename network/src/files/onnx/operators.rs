//! Each ONNX operator as operations of this program.

use super::import::{Translation, text};
use super::model::Node;
use super::settings::Settings;
use super::{shapes, shortcut};
use crate::activation::Activation;
use crate::files::draft::Known;
use crate::files::layout::permute;
use crate::op::{BatchNorm, Conv2d, LayerNorm, Linear, Op, Window};

pub(super) type Outcome = Result<Known, String>;

/// What `node` computes, or `None` where its operator is not known.
pub(super) fn translate<'a>(
    graph: &mut Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
) -> Option<Outcome> {
    Some(match node.op.as_str() {
        "Conv" => convolution(graph, node, settings),
        "Gemm" => gemm(graph, node, settings),
        "MatMul" => matmul(graph, node),
        "BatchNormalization" => batch_norm(graph, node, settings),
        "LayerNormalization" => layer_norm(graph, node, settings),
        "MaxPool" => shapes::max_pool(graph, node, settings),
        "AveragePool" => shapes::average_pool(graph, node, settings),
        "GlobalAveragePool" => graph.computed(node, 0).map(|x| shapes::global_average(graph, node, &x, true)),
        "ReduceMean" => shapes::reduce_mean(graph, node, settings),
        "Flatten" => shapes::flatten(graph, node, settings),
        "Reshape" => shapes::reshape(graph, node, settings),
        "Squeeze" => shapes::squeeze(graph, node, settings),
        "Slice" => shortcut::slice(graph, node, settings),
        "Pad" => shortcut::pad(graph, node, settings),
        "Add" | "Sum" | "Sub" | "Mul" | "Div" => super::arithmetic::translate(graph, node),
        "Concat" => concat(graph, node, settings),
        "Softmax" => softmax(graph, node, settings),
        "Identity" | "Dropout" | "Cast" => {
            // Nothing in inference; the ratio and the seed of a dropout do not matter there.
            for ignored in ["ratio", "seed", "to"] {
                settings.float(ignored, 0.0);
            }
            graph.computed(node, 0)
        }
        _ => return activation(graph, node, settings),
    })
}

fn activation<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Option<Outcome> {
    let setting = |name, default| decimal(settings.float(name, default));
    let function = match node.op.as_str() {
        "Relu" => Activation::relu(),
        "LeakyRelu" => Activation::LeakyRelu { slope: setting("alpha", 0.01) },
        "Elu" => Activation::Elu { alpha: setting("alpha", 1.0) },
        "Sigmoid" => Activation::sigmoid(),
        "Tanh" => Activation::Tanh,
        "Softplus" => Activation::Softplus,
        "Gelu" if settings.text("approximate", "none") == "none" => Activation::Gelu,
        "Gelu" => return Some(Err("approximates by tanh; export the exact function".into())),
        "Clip" => match clip(graph, node, settings) {
            Ok(function) => function,
            Err(problem) => return Some(Err(problem)),
        },
        _ => return None,
    };
    Some(graph.computed(node, 0).map(|x| {
        let name = graph.name(node);
        graph.draft.push(&name, function, &[&x])
    }))
}

/// The limits of a clipping: attributes up to operator set 10, inputs after.
fn clip<'a>(graph: &Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Result<Activation, String> {
    let limit = |index, name| match graph.constant(node, index)? {
        None => Ok(settings.number(name)),
        Some(constant) => constant.values().map_err(text).map(|values| values.first().copied()),
    };
    match (limit(1, "min")?, limit(2, "max")?) {
        (Some(0.0), None) => Ok(Activation::relu()),
        (Some(low), Some(high)) => Ok(Activation::Clip { low: decimal(low), high: decimal(high) }),
        _ => Err("clips on one side only; give it both limits".into()),
    }
}

/// The shortest decimal number that becomes `number`: 0.1 rather than 0.10000000149.
pub(super) fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn convolution<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let (shape, values) = graph.weights(node, 1)?;
    let &[outputs, _, height, width] = shape.as_slice() else {
        return Err(format!("has a kernel of shape {shape:?}; only two-dimensional convolutions are supported"));
    };
    if settings.ints("kernel_shape").is_some_and(|kernel| kernel != [height as i64, width as i64]) {
        return Err(format!("has a kernel of shape {shape:?}, which its `kernel_shape` contradicts"));
    }
    let Window { kernel, stride, padding, dilation } = shapes::window(settings, [height, width], &x)?;
    let groups = usize::try_from(settings.int("group", 1)).map_err(|_| "has a negative `group`")?;
    let bias = graph.constant(node, 2)?.map(|_| graph.weights(node, 2)).transpose()?;
    let name = graph.name(node);
    let op = Conv2d { outputs, kernel, stride, padding, dilation, groups, bias: bias.is_some() };
    let y = graph.draft.push(&name, op, &[&x]);
    graph.draft.parameter(&name, "weight", shape, values);
    if let Some((shape, values)) = bias {
        graph.draft.parameter(&name, "bias", shape, values);
    }
    Ok(y)
}

fn gemm<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    settings.require("transA", 0, 0)?;
    let x = graph.computed(node, 0)?;
    let (alpha, beta) = (settings.float("alpha", 1.0), settings.float("beta", 1.0));
    let transposed = settings.int("transB", 0) != 0;
    let (shape, mut values) = matrix(graph, node, transposed)?;
    let bias = graph.constant(node, 2)?.map(|_| graph.weights(node, 2)).transpose()?;
    let bias = match bias {
        None => None,
        Some((_, values)) if values.len() == shape[0] => Some(values),
        Some((_, values)) if values.len() == 1 => {
            graph.charge(shape[0])?;
            Some(vec![values[0]; shape[0]])
        }
        Some((other, _)) => return Err(format!("adds a constant of shape {other:?} to {} features", shape[0])),
    };
    // Factors of 1, the rule, change no bit.
    for value in &mut values {
        *value *= alpha;
    }
    let bias = bias.map(|bias| bias.into_iter().map(|value| value * beta).collect());
    Ok(linear(graph, node, &x, shape, values, bias))
}

fn matmul<'a>(graph: &mut Translation<'a>, node: &Node<'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let (shape, values) = matrix(graph, node, false)?;
    Ok(linear(graph, node, &x, shape, values, None))
}

/// The weight in input 1, outputs x features.
pub(super) fn matrix(
    graph: &Translation<'_>,
    node: &Node<'_>,
    transposed: bool,
) -> Result<(Vec<usize>, Vec<f32>), String> {
    let (shape, values) = graph.weights(node, 1)?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(format!("has a weight of shape {shape:?}, where a matrix belongs"));
    };
    if transposed { Ok((shape, values)) } else { Ok((vec![columns, rows], permute(&shape, &values, &[1, 0]))) }
}

fn linear<'a>(
    graph: &mut Translation<'a>,
    node: &Node<'a>,
    x: &Known,
    shape: Vec<usize>,
    values: Vec<f32>,
    bias: Option<Vec<f32>>,
) -> Known {
    let name = graph.name(node);
    let y = graph.draft.push(&name, Linear { outputs: shape[0], bias: bias.is_some() }, &[x]);
    let outputs = shape[0];
    graph.draft.parameter(&name, "weight", shape, values);
    if let Some(bias) = bias {
        graph.draft.parameter(&name, "bias", vec![outputs], bias);
    }
    y
}

fn batch_norm<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    settings.require("training_mode", 0, 0)?;
    settings.require("spatial", 1, 1)?;
    let x = graph.computed(node, 0)?;
    let op = BatchNorm {
        eps: decimal(settings.float("epsilon", 1e-5)),
        // ONNX weighs the old statistics, this program the new ones.
        momentum: decimal((1.0 - decimal(settings.float("momentum", 0.9))) as f32),
    };
    let parameters = (1..5).map(|index| graph.weights(node, index)).collect::<Result<Vec<_>, _>>()?;
    let name = graph.name(node);
    let y = graph.draft.push(&name, op, &[&x]);
    for (suffix, (shape, values)) in ["weight", "bias", "running_mean", "running_var"].into_iter().zip(parameters) {
        graph.draft.parameter(&name, suffix, shape, values);
    }
    Ok(y)
}

fn layer_norm<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let axis = settings.int("axis", -1);
    settings.require("stash_type", 1, 1)?;
    if axis != -1 && axis != x.shape.len() as i64 {
        return Err(format!("has axis = {axis}, where only the last one is supported"));
    }
    let (shape, values) = graph.weights(node, 1)?;
    let bias = match graph.constant(node, 2)? {
        Some(_) => graph.weights(node, 2)?.1,
        None => vec![0.0; values.len()],
    };
    let name = graph.name(node);
    let y = graph.draft.push(&name, LayerNorm { eps: decimal(settings.float("epsilon", 1e-5)) }, &[&x]);
    graph.draft.parameter(&name, "weight", shape.clone(), values);
    graph.draft.parameter(&name, "bias", shape, bias);
    Ok(y)
}

fn concat<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let axis = settings.int("axis", 1);
    let inputs = (0..node.inputs.len()).map(|index| graph.computed(node, index)).collect::<Result<Vec<_>, _>>()?;
    let rank = inputs.first().map_or(0, |x| x.shape.len() as i64);
    if axis != 1 && axis != -rank {
        return Err(format!("has axis = {axis}, where only channels are supported"));
    }
    if let [only] = inputs.as_slice() {
        return Ok(only.clone());
    }
    let name = graph.name(node);
    Ok(graph.draft.push(&name, Op::Concat, &inputs.iter().collect::<Vec<_>>()))
}

fn softmax<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let axis = settings.int("axis", if graph.opset < 13 { 1 } else { -1 });
    if axis != -1 && axis != x.shape.len() as i64 && !x.guessed {
        return Err(format!("has axis = {axis}, where only the last one is supported"));
    }
    let name = graph.name(node);
    Ok(graph.draft.push(&name, Op::Softmax, &[&x]))
}
