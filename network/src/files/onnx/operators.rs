//! Each ONNX operator as operations of this program.

use super::constants::resolve;
use super::import::{Translation, Value, text};
use super::model::Node;
use super::settings::Settings;
use crate::activation::Activation;
use crate::files::draft::Known;
use crate::files::layout::permute;
use crate::op::{AvgPool, BatchNorm, Conv2d, LayerNorm, Linear, MaxPool, Op, Reshape, Window};

type Outcome = Result<Known, String>;

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
        "MaxPool" => max_pool(graph, node, settings),
        "AveragePool" => average_pool(graph, node, settings),
        "GlobalAveragePool" => graph.computed(node, 0).map(|x| global_average(graph, node, &x, true)),
        "ReduceMean" => reduce_mean(graph, node, settings),
        "Flatten" => flatten(graph, node, settings),
        "Reshape" => reshape(graph, node, settings),
        "Squeeze" => squeeze(graph, node, settings),
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
    let Window { kernel, stride, padding, dilation } = window(settings, [height, width], &x)?;
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

/// The window that a convolution or a pooling moves over `x`.
fn window(settings: &Settings<'_, '_>, kernel: [usize; 2], x: &Known) -> Result<Window, String> {
    let stride = settings.extents("strides", 1)?;
    let dilation = settings.extents("dilations", 1)?;
    let padding = settings.extents("pads", 0)?;
    let window = Window { kernel, stride, padding, dilation };
    let [height, width] = extents(x);
    match settings.text("auto_pad", "NOTSET") {
        "NOTSET" | "" => Ok(window),
        "VALID" => Ok(Window { padding: [0; 4], ..window }),
        "SAME_UPPER" => Ok(window.same(height, width)),
        "SAME_LOWER" => {
            let [top, left, bottom, right] = window.same(height, width).padding;
            Ok(Window { padding: [bottom, right, top, left], ..window })
        }
        other => Err(format!("has auto_pad = {other}, which is not supported")),
    }
}

/// Rows and columns of an image; of anything else whatever, since it is refused later.
fn extents(x: &Known) -> [usize; 2] {
    if let [_, height, width] = x.shape[..] { [height, width] } else { [1, 1] }
}

fn max_pool<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    settings.require("storage_order", 0, 0)?;
    let x = graph.computed(node, 0)?;
    let mut window = pooling_window(settings, &x)?;
    if settings.int("ceil_mode", 0) != 0 {
        let [bottom, right] = ceiling(&window, &x);
        window.padding[2] += bottom;
        window.padding[3] += right;
    }
    let name = graph.name(node);
    let Window { kernel, stride, padding, .. } = window;
    Ok(graph.draft.push(&name, MaxPool { kernel, stride, padding }, &[&x]))
}

fn average_pool<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let window = pooling_window(settings, &x)?;
    if settings.int("ceil_mode", 0) != 0 && ceiling(&window, &x) != [0; 2] {
        return Err("has ceil_mode = 1 with windows that leave the image; pad it instead".into());
    }
    let count_include_pad = settings.int("count_include_pad", 0) != 0;
    let name = graph.name(node);
    let Window { kernel, stride, padding, .. } = window;
    Ok(graph.draft.push(&name, AvgPool { kernel, stride, padding, count_include_pad }, &[&x]))
}

fn pooling_window(settings: &Settings<'_, '_>, x: &Known) -> Result<Window, String> {
    let kernel = settings.extents("kernel_shape", 0)?;
    let window = window(settings, kernel, x)?;
    if window.dilation != [1; 2] {
        return Err(format!("has dilations = {:?}, which is not supported", window.dilation));
    }
    Ok(window)
}

/// Rows and columns of padding at the end that give as many places as rounding up does. A last window that would begin in
/// the padding at the end is left out, as `PyTorch` and ONNX do.
fn ceiling(window: &Window, x: &Known) -> [usize; 2] {
    let extents = extents(x);
    [0, 1].map(|axis| {
        let (stride, kernel) = (window.stride[axis].max(1), window.kernel[axis]);
        let before = window.padding[axis];
        let padded = extents[axis].saturating_add(before).saturating_add(window.padding[axis + 2]);
        let steps = padded.saturating_sub(kernel).div_ceil(stride);
        let begins_outside = steps.saturating_mul(stride) >= extents[axis].saturating_add(before);
        let steps = steps.saturating_sub(usize::from(begins_outside));
        steps.saturating_mul(stride).saturating_add(kernel).saturating_sub(padded)
    })
}

/// The mean of each channel; `keep` makes it an image of one pixel, as ONNX has it.
fn global_average<'a>(graph: &mut Translation<'a>, node: &Node<'a>, x: &Known, keep: bool) -> Known {
    let name = graph.name(node);
    let pooled = graph.draft.push(&name, Op::GlobalAvgPool, &[x]);
    if !keep || pooled.shape.len() != 1 {
        return pooled;
    }
    let shape = vec![pooled.shape[0], 1, 1];
    let name = graph.draft.free_name(&format!("{name}.pixel"));
    let image = graph.draft.push(&name, Reshape { shape }, &[&pooled]);
    graph.pooled.insert(image.value, pooled);
    image
}

fn reduce_mean<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let axes = match graph.constant(node, 1)? {
        Some(axes) => axes.integers().map_err(text)?,
        None => settings.ints("axes").unwrap_or_default().to_vec(),
    };
    settings.require("noop_with_empty_axes", 0, 0)?;
    let rank = x.shape.len() as i64 + 1;
    let mut axes: Vec<i64> = axes.iter().map(|&axis| if axis < 0 { axis + rank } else { axis }).collect();
    axes.sort_unstable();
    if !(rank == 4 && axes == [2, 3]) && !x.guessed {
        return Err(format!("averages over axes {axes:?} of {rank}; only rows and columns of images are supported"));
    }
    let keep = settings.int("keepdims", 1) != 0;
    Ok(global_average(graph, node, &x, keep))
}

fn flatten<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let axis = settings.int("axis", 1);
    if axis != 1 && axis != -(x.shape.len() as i64) {
        return Err(format!("has axis = {axis}, where only 1 is supported"));
    }
    Ok(as_vector(graph, node, x))
}

/// `x` as a vector, without detour where it was one before ONNX made an image of it.
fn as_vector<'a>(graph: &mut Translation<'a>, node: &Node<'a>, x: Known) -> Known {
    if let Some(pooled) = graph.pooled.get(&x.value) {
        return pooled.clone();
    }
    if x.shape.len() == 1 {
        return x;
    }
    let name = graph.name(node);
    graph.draft.push(&name, Op::Flatten, &[&x])
}

fn reshape<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    settings.require("allowzero", 0, 0)?;
    let wanted = match graph.constant(node, 1)? {
        Some(shape) => shape.integers().map_err(text)?,
        None => settings.ints("shape").unwrap_or_default().to_vec(),
    };
    // The batch counts as one example: 0 keeps it, -1 becomes 1 where the rest is written out.
    let whole: Vec<usize> = [1].into_iter().chain(x.shape.iter().copied()).collect();
    let shape = resolve(&whole, &wanted).filter(|shape| shape.len() > 1 && shape[0] == 1);
    let Some(shape) = shape else {
        let problem = format!("makes {wanted:?} of examples of {:?}; keep the batch as the first extent", x.shape);
        return if x.guessed { Ok(x) } else { Err(problem) };
    };
    let shape = shape[1..].to_vec();
    if shape == x.shape {
        return Ok(x);
    }
    if shape.len() == 1 {
        return Ok(as_vector(graph, node, x));
    }
    let name = graph.name(node);
    Ok(graph.draft.push(&name, Reshape { shape }, &[&x]))
}

fn squeeze<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let axes = match graph.constant(node, 1)? {
        Some(axes) => axes.integers().map_err(text)?,
        None => settings.ints("axes").unwrap_or_default().to_vec(),
    };
    let rank = x.shape.len() as i64 + 1;
    let mut axes: Vec<i64> = axes.iter().map(|&axis| if axis < 0 { axis + rank } else { axis }).collect();
    axes.sort_unstable();
    let is_pixel = matches!(x.shape[..], [_, 1, 1]) && (axes.is_empty() || axes == [2, 3]);
    if is_pixel || x.guessed {
        return Ok(as_vector(graph, node, x));
    }
    Err(format!("drops axes {axes:?} of {:?}; only images of one pixel are supported", x.shape))
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
    values.iter_mut().for_each(|value| *value *= alpha);
    let bias = bias.map(|bias| bias.into_iter().map(|value| value * beta).collect());
    Ok(linear(graph, node, &x, shape, values, bias))
}

fn matmul<'a>(graph: &mut Translation<'a>, node: &Node<'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    if let Some(Value::Computed(_)) = graph.input(node, 1)? {
        return Err("multiplies two computed matrices, which is not supported".into());
    }
    let (shape, values) = matrix(graph, node, false)?;
    Ok(linear(graph, node, &x, shape, values, None))
}

/// The weight in input 1, outputs x features.
fn matrix(graph: &Translation<'_>, node: &Node<'_>, transposed: bool) -> Result<(Vec<usize>, Vec<f32>), String> {
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
