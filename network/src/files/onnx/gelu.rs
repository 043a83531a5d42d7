//! The Gaussian error linear unit, which most exporters write as `x / 2 * (1 + erf(x / sqrt 2))` in one order or another.

use super::import::{Translation, Value};
use super::model::Node;
use crate::activation::Activation;
use crate::files::draft::Known;

/// `factor * (erf(x / sqrt 2) + 1)`, the 1 and a factor `x` as far as they were seen.
#[derive(Clone, Debug)]
pub(super) struct Part {
    x: Known,
    factor: f32,
    plus_one: bool,
    times_x: bool,
}

/// The value of a node that takes part in the formula, `None` for all others.
pub(super) fn translate<'a>(graph: &mut Translation<'a>, node: &Node<'a>) -> Option<Value<'a>> {
    let part = match (node.op.as_str(), inputs(graph, node)?) {
        ("Erf", [Some(Value::Computed(scaled)), None]) => {
            let (x, factor) = graph.scaled.get(&scaled.value)?;
            let is_root = (factor - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6;
            Part { x: is_root.then(|| x.clone())?, factor: 1.0, plus_one: false, times_x: false }
        }
        ("Add", [Some(Value::Part(part)), Some(one)]) if !part.plus_one && is(part.factor, 1.0) => {
            number(&one).filter(|&one| is(one, 1.0))?;
            Part { plus_one: true, ..part }
        }
        ("Mul", [Some(Value::Part(part)), Some(Value::Computed(y))]) if part.plus_one && !part.times_x => {
            let (x, factor) = graph.scaled.get(&y.value).map_or((&y, 1.0), |(x, factor)| (x, *factor));
            // What was scaled may itself be the `x` of the formula.
            let factor = if y.value == part.x.value { 1.0 } else { factor };
            let is_x = x.value == part.x.value || y.value == part.x.value;
            Part { factor: part.factor * factor, times_x: is_x.then_some(true)?, ..part }
        }
        ("Mul", [Some(Value::Part(part)), Some(constant)]) if part.plus_one => {
            Part { factor: part.factor * number(&constant)?, ..part }
        }
        _ => return None,
    };
    if !(part.plus_one && part.times_x && is(part.factor, 0.5)) {
        return Some(Value::Part(part));
    }
    let name = graph.name(node);
    Some(Value::Computed(graph.draft.push(&name, Activation::Gelu, &[&part.x])))
}

/// One or two inputs, a part of the formula first.
fn inputs<'a>(graph: &Translation<'a>, node: &Node<'a>) -> Option<[Option<Value<'a>>; 2]> {
    if !matches!(node.op.as_str(), "Erf" | "Add" | "Mul") {
        return None;
    }
    let first = graph.input(node, 0).ok()?.cloned();
    let second = graph.input(node, 1).ok()?.cloned();
    let swap = matches!(second, Some(Value::Part(_)));
    Some(if swap { [second, first] } else { [first, second] })
}

/// Whether a number is exactly another, the formula's.
fn is(number: f32, wanted: f32) -> bool {
    number.to_bits() == wanted.to_bits()
}

/// The only number of a constant.
fn number(value: &Value<'_>) -> Option<f32> {
    let Value::Constant(constant) = value else { return None };
    constant.values().ok().filter(|values| values.len() == 1).map(|values| values[0])
}
