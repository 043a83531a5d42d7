//! What becomes of numbers in another order where an operation reads them.

use super::import::Translation;
use super::laid::{Laid, Source};
use super::model::Node;
use crate::files::draft::Known;
use crate::op::{Op, Reshape, ScaleShift, Select, Step};

/// What became of numbers in another order.
pub(super) struct Settled {
    pub(super) known: Known,
    /// Their shape in the file, where that is not the batch followed by the layer's own.
    pub(super) outer: Option<Vec<usize>>,
}

/// The operation that gives the numbers of `laid` in their order, and their shape in the file where the batch is not first.
///
/// # Errors
/// Where no operation of this program gives that order.
pub(super) fn settle<'a>(graph: &mut Translation<'a>, node: &Node<'a>, laid: &Laid) -> Result<Settled, String> {
    let Source::Layer(known) = &laid.source else {
        return Err(
            "reads the heads of an attention before a linear layer has mixed them, which is not supported".into()
        );
    };
    let mut known = known.clone();
    if let Some(known) = in_order(graph, node, laid, &known) {
        let known = scaled(graph, node, known, laid.factor)?;
        return Ok(outer(known, &laid.shape));
    }
    if let Some(image) = tokens(graph, laid, &known) {
        let name = graph.part(node, "tokens");
        known = graph.draft.push(&name, Op::Tokens, &[&image]);
    } else if let Some(step) = step(laid, &known) {
        let name = graph.part(node, "step");
        known = graph.draft.push(&name, Select { step }, &[&known]);
    } else {
        let shape = &laid.shape;
        return Err(format!(
            "reads an array {shape:?} whose numbers lie in an order that is not supported, such as a step within a sequence"
        ));
    }
    let known = scaled(graph, node, known, laid.factor)?;
    Ok(outer(known, &laid.shape))
}

/// Numbers in order: as they are, as a vector, or as an image.
fn in_order<'a>(graph: &mut Translation<'a>, node: &Node<'a>, laid: &Laid, known: &Known) -> Option<Known> {
    if !laid.is_in_order() {
        return None;
    }
    let without_ones = |shape: &[usize]| shape.iter().copied().filter(|&extent| extent != 1).collect::<Vec<_>>();
    if laid.shape == Laid::of(known).shape || without_ones(&laid.shape) == without_ones(&known.shape) {
        return Some(known.clone());
    }
    let (&batch, shape) = laid.shape.split_first()?;
    if batch != 1 || !(1..=3).contains(&shape.len()) {
        return None;
    }
    let name = graph.part(node, "reshape");
    Some(match shape.len() {
        1 => graph.draft.push(&name, Op::Flatten, &[known]),
        _ => graph.draft.push(&name, Reshape { shape: shape.to_vec() }, &[known]),
    })
}

/// The image whose places `laid` are as a sequence.
fn tokens(graph: &Translation<'_>, laid: &Laid, known: &Known) -> Option<Known> {
    let image = match known.shape.len() {
        3 => known.clone(),
        _ => match graph.draft.before(known.value)? {
            (image, Op::Reshape(_)) => graph.known(image)?,
            _ => return None,
        },
    };
    let &[channels, height, width] = image.shape.as_slice() else { return None };
    let places = height * width;
    let is_sequence = laid.shape.ends_with(&[places, channels]) && laid.len() == places * channels;
    let transposed = |at: usize| laid.at(at) == at % channels * places + at / channels;
    (is_sequence && (0..laid.len()).all(transposed)).then_some(image)
}

/// The first or last step of a sequence, where `laid` is one.
fn step(laid: &Laid, known: &Known) -> Option<Step> {
    let &[steps, features] = known.shape.as_slice() else { return None };
    let is = |step: usize| laid.len() == features && (0..features).all(|at| laid.at(at) == step * features + at);
    match () {
        () if is(0) => Some(Step::First),
        () if is(steps.saturating_sub(1)) => Some(Step::Last),
        () => None,
    }
}

fn scaled<'a>(graph: &mut Translation<'a>, node: &Node<'a>, known: Known, factor: f32) -> Result<Known, String> {
    if factor.to_bits() == 1.0_f32.to_bits() {
        return Ok(known);
    }
    let channels = if known.shape.len() == 3 { known.shape[0] } else { known.shape.last().copied().unwrap_or(0) };
    graph.charge(channels)?;
    let name = graph.part(node, "scale");
    let y = graph.draft.push(&name, ScaleShift { scale: true, shift: false }, &[&known]);
    graph.draft.parameter(&name, "weight", vec![channels], vec![factor; channels]);
    Ok(y)
}

/// `known`, whose shape in the file is `shape`; or a shape of its own where that only moves the batch.
fn outer(known: Known, shape: &[usize]) -> Settled {
    let outer = (shape != Laid::of(&known).shape).then(|| shape.to_vec());
    Settled { known, outer }
}
