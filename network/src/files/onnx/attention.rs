//! Self-attention as exporters write it: products of projections that were laid out in heads, a softmax between them, and a
//! linear layer that mixes the heads again.

use std::rc::Rc;

use super::import::{Translation, Value, text};
use super::laid::{Laid, Source};
use super::model::Node;
use super::operators::matrix;
use super::settings::Settings;
use crate::files::draft::Known;
use crate::op::{Attention, Op};

/// Some columns of what a linear layer gives: the projection to queries, keys or values.
#[derive(Clone, Debug)]
struct Columns {
    known: Known,
    from: usize,
}

/// The scores of an attention, or after their softmax the shares.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    query: Columns,
    key: Columns,
    heads: usize,
    steps: usize,
    width: usize,
    factor: f32,
    shared: bool,
    /// The shape in the file.
    shape: Vec<usize>,
}

/// What the heads of an attention give.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    scores: Scores,
    value: Columns,
}

impl Heads {
    /// How many numbers they give.
    pub(super) const fn len(&self) -> usize {
        self.scores.heads * self.scores.steps * self.scores.width
    }
}

/// What `node` gives where it is a part of an attention; `None` for all other nodes.
pub(super) fn translate<'a>(
    graph: &mut Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
) -> Option<Result<Value<'a>, String>> {
    let first = graph.input(node, 0).ok()??.clone();
    let second = graph.input(node, 1).ok()?.cloned();
    match (node.op.as_str(), first, second) {
        ("MatMul", Value::Scores(scores), Some(value)) => Some(seen(graph, &scores, &value)),
        ("MatMul", first, Some(second)) if is_array(&first) && is_array(&second) => {
            Some(scores(graph, &first, &second).map(|scores| Value::Scores(Rc::new(scores))))
        }
        ("MatMul" | "Gemm", Value::Laid(laid), Some(Value::Constant(_))) => match &laid.source {
            Source::Heads(heads) => Some(mixed(graph, node, settings, &laid, heads)),
            Source::Layer(_) => None,
        },
        ("Mul" | "Div", array, Some(Value::Constant(factor))) | ("Mul", Value::Constant(factor), Some(array)) => {
            let factor = factor.values().ok().filter(|values| values.len() == 1)?[0];
            let divides = node.op == "Div";
            multiplied(array, |number| if divides { number / factor } else { number * factor }).map(Ok)
        }
        ("Softmax", Value::Scores(scores), _) => {
            let axis = settings.int("axis", -1);
            if scores.shared || axis != -1 && axis != scores.shape.len() as i64 - 1 {
                return Some(Err("takes the softmax of scores along another axis than the last".into()));
            }
            Some(Ok(Value::Scores(Rc::new(Scores { shared: true, ..(*scores).clone() }))))
        }
        ("Identity" | "Dropout" | "Cast", Value::Scores(scores), _) => Some(Ok(Value::Scores(scores))),
        (_, Value::Scores(_), _) | (_, _, Some(Value::Scores(_))) => {
            Some(Err("changes the scores of an attention (a mask, say), which is not supported".into()))
        }
        _ => None,
    }
}

fn is_array(value: &Value<'_>) -> bool {
    matches!(value, Value::Laid(_)) || matches!(value, Value::Computed(known) if !known.guessed)
}

/// An array as it lies; a factor by which a layer was multiplied is taken off again.
fn array(graph: &Translation<'_>, value: &Value<'_>) -> Option<Laid> {
    match value {
        Value::Laid(laid) => Some(laid.clone()),
        Value::Computed(known) => Some(match graph.scaled.get(&known.value) {
            Some((known, factor)) => Laid { factor: *factor, ..Laid::of(known) },
            None => Laid::of(known),
        }),
        _ => None,
    }
}

/// Scores or a laid out array, times a number.
fn multiplied(value: Value<'_>, by: impl Fn(f32) -> f32) -> Option<Value<'_>> {
    match value {
        Value::Scores(scores) if !scores.shared => {
            Some(Value::Scores(Rc::new(Scores { factor: by(scores.factor), ..(*scores).clone() })))
        }
        Value::Laid(laid) => Some(Value::Laid(Laid { factor: by(laid.factor), ..laid })),
        _ => None,
    }
}

const REFUSED: &str =
    "multiplies two computed matrices, which is supported only as the attention of heads to the steps of a sequence";

/// The product of queries and keys.
fn scores(graph: &Translation<'_>, query: &Value<'_>, key: &Value<'_>) -> Result<Scores, String> {
    let (query, key) = array(graph, query).zip(array(graph, key)).ok_or(REFUSED)?;
    let rank = query.shape.len();
    if rank < 3 || key.shape.len() != rank || query.shape[..rank - 2] != key.shape[..rank - 2] {
        return Err(REFUSED.into());
    }
    let [steps, width] = [query.shape[rank - 2], query.shape[rank - 1]];
    let heads = query.shape[..rank - 2].iter().product();
    if key.shape[rank - 2..] != [width, steps] {
        return Err(REFUSED.into());
    }
    let factor = query.factor * key.factor;
    let query = columns(&query, [heads, steps, width], false).ok_or(REFUSED)?;
    let key = columns(&key, [heads, steps, width], true).ok_or(REFUSED)?;
    let mut shape = vec![1; rank];
    shape[rank - 2..].fill(steps);
    Ok(Scores { query, key, heads, steps, width, factor, shared: false, shape })
}

/// Which columns of a layer `laid` are, head after head, steps before width or after.
fn columns(laid: &Laid, [heads, steps, width]: [usize; 3], turned: bool) -> Option<Columns> {
    let Source::Layer(known) = &laid.source else { return None };
    let &[rows, wide] = known.shape.as_slice() else { return None };
    let from = laid.at(0);
    let fits = rows == steps && from.checked_add(heads.checked_mul(width)?)? <= wide;
    let place = |at: usize| {
        let (head, within) = (at / (steps * width), at % (steps * width));
        let (step, feature) = if turned { (within % steps, within / steps) } else { (within / width, within % width) };
        step * wide + from + head * width + feature
    };
    let agrees = fits && laid.len() == heads * steps * width && (0..laid.len()).all(|at| laid.at(at) == place(at));
    agrees.then(|| Columns { known: known.clone(), from })
}

/// The shares of every step times the values.
fn seen<'a>(graph: &Translation<'a>, scores: &Scores, value: &Value<'a>) -> Result<Value<'a>, String> {
    let laid = array(graph, value).filter(|laid| laid.factor.to_bits() == 1.0_f32.to_bits()).ok_or(REFUSED)?;
    let root = (scores.width as f32).sqrt().recip();
    if !scores.shared || (scores.factor / root - 1.0).abs() > 1e-4 {
        return Err(
            "weighs the scores of an attention by another factor than 1 / sqrt(width), or takes no softmax".into()
        );
    }
    let value = columns(&laid, [scores.heads, scores.steps, scores.width], false).ok_or(REFUSED)?;
    let heads = Rc::new(Heads { scores: scores.clone(), value });
    Ok(Value::Laid(Laid::of_heads(heads, laid.shape)))
}

/// The linear layer that mixes the heads, and with it the whole attention.
fn mixed<'a>(
    graph: &mut Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    laid: &Laid,
    heads: &Heads,
) -> Result<Value<'a>, String> {
    let Scores { heads: count, steps, width, .. } = heads.scores;
    let features = count * width;
    let in_steps = |at: usize| {
        let (step, feature) = (at / features, at % features);
        laid.at(at) == (feature / width * steps + step) * width + feature % width
    };
    if laid.shape.last() != Some(&features) || laid.len() != heads.len() || !(0..laid.len()).all(in_steps) {
        return Err("mixes the heads of an attention in an order that is not supported".into());
    }
    for (name, default) in [("alpha", 1.0), ("beta", 1.0)] {
        if (settings.float(name, default) - 1.0).abs() > 0.0 {
            return Err(format!("has {name} other than 1, which is not supported after an attention"));
        }
    }
    settings.require("transA", 0, 0)?;
    let (shape, mut weight) = matrix(graph, node, settings.int("transB", 0) != 0)?;
    if shape != [features, features] {
        return Err(format!("mixes {features} features of heads into {}, where equally many belong", shape[0]));
    }
    // What the heads were multiplied by, the layer can do.
    for weight in &mut weight {
        *weight *= laid.factor;
    }
    let bias = graph.constant(node, 2)?.map(|bias| bias.values().map_err(text)).transpose()?;
    let has_bias = bias.is_some();
    let bias = bias.unwrap_or_else(|| vec![0.0; features]);
    if bias.len() != features {
        return Err(format!("adds {} numbers to {features} features", bias.len()));
    }
    let name = graph.name(node);
    let name = graph.draft.free_name(name.trim_end_matches(".out_proj"));
    let parts = [&heads.scores.query, &heads.scores.key, &heads.value];
    let (input, in_weight, in_bias) = projections(graph, parts, features)?;
    let y = graph.draft.push(&name, Attention { heads: count }, &[&input]);
    graph.draft.parameter(&name, "in_proj_weight", vec![3 * features, features], in_weight);
    graph.draft.parameter(&name, "in_proj_bias", vec![3 * features], in_bias);
    graph.draft.parameter(&name, "out_proj.weight", shape, weight);
    graph.draft.parameter(&name, "out_proj.bias", vec![features], bias);
    if !has_bias {
        graph.unbiased.insert(y.value);
    }
    Ok(Value::Laid(Laid::shaped(&y, laid.shape.clone())))
}

/// What the three projections read, their weights on top of one another, and their biases.
fn projections(
    graph: &mut Translation<'_>,
    parts: [&Columns; 3],
    features: usize,
) -> Result<(Known, Vec<f32>, Vec<f32>), String> {
    let (mut input, mut weights, mut biases) = (None, Vec::new(), Vec::new());
    for Columns { known, from } in parts {
        let node = graph.draft.node(known).map(|node| (node.name.clone(), node.inputs[0], node.op.clone()));
        let Some((name, read, Op::Linear(_))) = node else {
            return Err("attends to what no linear layer projects, which is not supported".into());
        };
        let rows = *from..from + features;
        let weight = graph.draft.tensor(&name, "weight").ok_or("lacks the weight of a projection")?;
        if weight.shape.get(1) != Some(&features) || input.is_some_and(|input| input != read) {
            return Err(
                "attends from one array to another, or changes the width; only self-attention is supported".into()
            );
        }
        input = Some(read);
        let weight = weight.values.get(rows.start * features..rows.end * features);
        weights.extend_from_slice(weight.ok_or("has a projection of another width than its weight")?);
        match graph.draft.tensor(&name, "bias") {
            Some(bias) => {
                biases
                    .extend_from_slice(bias.values.get(rows).ok_or("has a projection of another width than its bias")?);
            }
            None => biases.extend(std::iter::repeat_n(0.0, features)),
        }
    }
    graph.charge(weights.len())?;
    let input = input.and_then(|input| graph.draft.known(input)).ok_or("reads nothing that is known")?;
    Ok((input, weights, biases))
}
