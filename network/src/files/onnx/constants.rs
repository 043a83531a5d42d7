//! Nodes that compute constants, folded: exporters write shapes and transposed weights as little programs.

use std::rc::Rc;

use super::constant::Constant;
use super::import::{Translation, Value, text};
use super::laid::Laid;
use super::model::Node;
use super::settings::Settings;
use crate::files::layout::permute;

type Folded<'a> = Result<Constant<'a>, String>;

/// The constant that `node` gives, or `None` where it reads what layers compute (but for the shape of that).
pub(super) fn fold<'a>(
    translation: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
) -> Option<Result<Rc<Constant<'a>>, String>> {
    match node.op.as_str() {
        "Constant" => return Some(constant(settings).map(Rc::new)),
        "Shape" => return Some(shape(translation, node, settings).map(Rc::new)),
        _ => {}
    }
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for index in 0..node.inputs.len() {
        match translation.input(node, index) {
            Ok(Some(Value::Constant(constant))) => inputs.push(constant),
            _ => return None,
        }
    }
    if let ("Identity" | "Cast", [input]) = (node.op.as_str(), inputs.as_slice()) {
        settings.int("to", 0);
        return Some(Ok(Rc::clone(input)));
    }
    // Every constant made here is as large as those that it is made of, or as the indices that pick from them.
    let made = inputs.iter().fold(0_usize, |sum, input| sum.saturating_add(input.len()));
    let folded = match (node.op.as_str(), inputs.as_slice()) {
        ("Gather", [list, index]) => translation.charge(made).and_then(|()| gather(list, index, settings)),
        ("Unsqueeze" | "Squeeze", [list, ..]) if list.is_whole() => {
            settings.ints("axes");
            let list = translation.charge(made).and_then(|()| list.integers().map_err(text));
            list.map(|ints| Constant::of_ints_like(ints, node.op == "Unsqueeze"))
        }
        ("Expand", [array, shape]) => expand(translation, array, shape),
        ("Add" | "Sub" | "Mul" | "Div" | "Mod", [a, b]) => {
            settings.int("fmod", 0);
            translation.charge(made).and_then(|()| arithmetic(&node.op, a, b))
        }
        ("Sqrt", [x]) => translation.charge(made).and_then(|()| root(x)),
        ("Concat", lists) => {
            settings.int("axis", 0);
            let lists = translation.charge(made).map(|()| lists.iter().map(|list| list.integers().map_err(text)));
            lists.and_then(Iterator::collect).map(|lists: Vec<_>| Constant::of_ints(lists.concat()))
        }
        ("Reshape", [array, shape]) => translation.charge(made).and_then(|()| reshape(array, shape, settings)),
        ("Slice", [array, limits @ ..]) => translation.charge(made).and_then(|()| slice(array, limits)),
        ("ConstantOfShape", [shape]) => filled(translation, shape, settings),
        ("Transpose", [array]) => translation.charge(made).and_then(|()| transpose(array, settings)),
        _ => return None,
    };
    Some(folded.map(Rc::new))
}

fn constant<'a>(settings: &Settings<'_, 'a>) -> Folded<'a> {
    let tensor = settings.tensor("value").cloned();
    let number = settings.number("value_float").map(|number| Constant::of_floats(vec![], vec![number]));
    let ints = settings.ints("value_ints").map(|ints| Constant::of_ints(ints.to_vec()));
    tensor.or(number).or(ints).ok_or_else(|| "has no `value` of numbers".to_owned())
}

fn shape<'a>(translation: &Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Folded<'a> {
    // How many examples a batch has is not known; shapes are those of a batch of one.
    let shape = match translation.input(node, 0)? {
        Some(Value::Laid(laid)) => laid.shape.clone(),
        _ => Laid::of(&translation.computed(node, 0)?).shape,
    };
    let shape: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
    let place =
        |at: i64| usize::try_from(if at < 0 { at + shape.len() as i64 } else { at }).unwrap_or(0).min(shape.len());
    let (start, end) = (place(settings.int("start", 0)), place(settings.int("end", shape.len() as i64)));
    Ok(Constant::of_ints(shape.get(start..end).unwrap_or_default().to_vec()))
}

/// One of the four rules of arithmetic, or a remainder, where one side is a single number or both have the same shape.
fn arithmetic<'a>(op: &str, a: &Constant<'a>, b: &Constant<'a>) -> Folded<'a> {
    let shapes = [a.extents().map_err(text)?, b.extents().map_err(text)?];
    let (one, other) = (a.count().map_err(text)?, b.count().map_err(text)?);
    let alike = one == 1 || other == 1 || shapes[0] == shapes[1];
    // Nothing and a number have no number to combine.
    if !alike || (one == 0) != (other == 0) {
        return Err(format!("combines constants of shapes {shapes:?}, which is not supported"));
    }
    let shape = if one > other || one == other && shapes[0].len() > shapes[1].len() { &shapes[0] } else { &shapes[1] };
    let count = one.max(other);
    if a.is_whole() && b.is_whole() {
        let (a, b) = (a.integers().map_err(text)?, b.integers().map_err(text)?);
        let ints = (0..count).map(|at| whole(op, a[at.min(a.len() - 1)], b[at.min(b.len() - 1)]));
        let ints = ints.collect::<Option<Vec<_>>>().ok_or("divides by zero, or beyond what whole numbers hold")?;
        return Constant::of_ints(ints).picked(shape, &(0..count).collect::<Vec<_>>()).map_err(text);
    }
    let (a, b) = (a.values().map_err(text)?, b.values().map_err(text)?);
    let number = |at: usize| {
        let (a, b) = (a[at.min(a.len() - 1)], b[at.min(b.len() - 1)]);
        match op {
            "Add" => a + b,
            "Sub" => a - b,
            "Mul" => a * b,
            "Div" => a / b,
            _ => a.rem_euclid(b),
        }
    };
    Ok(Constant::of_floats(shape.clone(), (0..count).map(number).collect()))
}

fn whole(op: &str, a: i64, b: i64) -> Option<i64> {
    match op {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        _ => a.checked_rem(b),
    }
}

fn root<'a>(x: &Constant<'a>) -> Folded<'a> {
    let values = x.values().map_err(text)?;
    Ok(Constant::of_floats(x.extents().map_err(text)?, values.into_iter().map(f32::sqrt).collect()))
}

/// A constant repeated to a shape, by the rules of broadcasting.
fn expand<'a>(translation: &Translation<'a>, array: &Constant<'a>, shape: &Constant<'a>) -> Folded<'a> {
    let from = array.extents().map_err(text)?;
    let wanted = shape.integers().map_err(text)?;
    let wanted = wanted.iter().map(|&extent| usize::try_from(extent).ok()).collect::<Option<Vec<_>>>();
    let wanted =
        wanted.filter(|wanted| wanted.len() <= 8 && from.len() <= 8).ok_or("repeats to a shape that cannot be")?;
    let rank = wanted.len().max(from.len());
    let aligned = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
    let (from, wanted) = (aligned(&from), aligned(&wanted));
    let mut shape = Vec::with_capacity(rank);
    for (&from, &wanted) in from.iter().zip(&wanted) {
        if from != wanted && from != 1 && wanted != 1 {
            return Err(format!("repeats {from} entries to {wanted}"));
        }
        shape.push(if from == 1 { wanted } else { from });
    }
    let count = shape.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent)).ok_or("repeats without end")?;
    translation.charge(count)?;
    let place = |at: usize| {
        let (mut rest, mut stride, mut place) = (at, 1, 0);
        for (&extent, &from) in shape.iter().zip(&from).rev() {
            place += if from == 1 { 0 } else { rest % extent * stride };
            rest /= extent.max(1);
            stride *= from;
        }
        place
    };
    array.picked(&shape, &(0..count).map(place).collect::<Vec<_>>()).map_err(text)
}

fn gather<'a>(list: &Constant<'a>, index: &Constant<'a>, settings: &Settings<'_, 'a>) -> Folded<'a> {
    settings.require("axis", 0, 0)?;
    let (list, places) = (list.integers().map_err(text)?, index.integers().map_err(text)?);
    let pick = |&at: &i64| {
        let at = if at < 0 { at + list.len() as i64 } else { at };
        usize::try_from(at).ok().and_then(|at| list.get(at).copied())
    };
    let picked = places.iter().map(pick).collect::<Option<Vec<_>>>();
    let picked = picked.ok_or_else(|| format!("takes elements {places:?} of {}", list.len()))?;
    Ok(Constant::of_ints_like(picked, !index.shape.is_empty()))
}

fn reshape<'a>(array: &Constant<'a>, shape: &Constant<'a>, settings: &Settings<'_, 'a>) -> Folded<'a> {
    let extents = array.extents().map_err(text)?;
    let wanted = shape.integers().map_err(text)?;
    settings.int("allowzero", 0);
    let shape =
        resolve(&extents, &wanted).ok_or_else(|| format!("cannot make {wanted:?} of a constant {extents:?}"))?;
    array.picked(&shape, &(0..array.count().map_err(text)?).collect::<Vec<_>>()).map_err(text)
}

fn transpose<'a>(array: &Constant<'a>, settings: &Settings<'_, 'a>) -> Folded<'a> {
    let extents = array.extents().map_err(text)?;
    let axes: Vec<usize> = match settings.ints("perm") {
        None => (0..extents.len()).rev().collect(),
        Some(axes) => axes.iter().map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX)).collect(),
    };
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..extents.len()) {
        return Err(format!("permutes {} axes by {axes:?}", extents.len()));
    }
    let places = permute(&extents, &(0..array.count().map_err(text)?).collect::<Vec<_>>(), &axes);
    let shape: Vec<usize> = axes.iter().map(|&axis| extents[axis]).collect();
    array.picked(&shape, &places).map_err(text)
}

/// Rows from a start to an end by a step, as Python has it.
fn slice<'a>(array: &Constant<'a>, limits: &[&Rc<Constant<'a>>]) -> Folded<'a> {
    let one = |index: usize, default| match limits.get(index).map(|limit| limit.integers().map_err(text)).transpose()? {
        None => Ok(default),
        Some(ints) if ints.len() == 1 => Ok(ints[0]),
        Some(ints) => Err(format!("slices a constant by {ints:?}, where only rows are supported")),
    };
    let (start, end, axis, step) = (one(0, 0)?, one(1, i64::MAX)?, one(2, 0)?, one(3, 1)?);
    let mut shape = array.extents().map_err(text)?;
    let rows = shape.first().copied().filter(|_| axis == 0 && step != 0).ok_or("slices a constant but by rows")?;
    let width = array.count().map_err(text)?.checked_div(rows).filter(|&width| width > 0);
    let width = width.ok_or("slices a constant without elements")?;
    let count = rows as i64;
    let (lowest, highest) = if step > 0 { (0, count) } else { (-1, count - 1) };
    let place = |at: i64| if at < 0 { at.saturating_add(count) } else { at }.clamp(lowest, highest);
    let (mut row, end) = (place(start), place(end));
    let mut places = Vec::new();
    shape[0] = 0;
    while (step > 0 && row < end) || (step < 0 && row > end) {
        places.extend(row as usize * width..(row as usize + 1) * width);
        shape[0] += 1;
        row = row.saturating_add(step);
    }
    array.picked(&shape, &places).map_err(text)
}

/// One number everywhere.
fn filled<'a>(translation: &Translation<'a>, shape: &Constant<'a>, settings: &Settings<'_, 'a>) -> Folded<'a> {
    let extents = shape.integers().map_err(text)?;
    let extents: Option<Vec<usize>> = extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let count =
        extents.as_ref().and_then(|extents| extents.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent)));
    let (extents, count) = extents.zip(count).ok_or("fills a shape that cannot be")?;
    translation.charge(count)?;
    let zero = Constant::of_floats(vec![], vec![0.0]);
    settings.tensor("value").unwrap_or(&zero).picked(&extents, &vec![0; count]).map_err(text)
}

/// The shape that `wanted` makes of `extents`: 0 keeps the extent in its place, one -1 takes what is left.
pub(super) fn resolve(extents: &[usize], wanted: &[i64]) -> Option<Vec<usize>> {
    let total = extents.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent))?;
    let mut free = None;
    let mut shape = Vec::with_capacity(wanted.len());
    for (index, &extent) in wanted.iter().enumerate() {
        shape.push(match extent {
            -1 if free.is_none() => {
                free = Some(index);
                1
            }
            0 => *extents.get(index)?,
            _ => usize::try_from(extent).ok()?,
        });
    }
    let known = shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent))?;
    if let Some(free) = free {
        shape[free] = total.checked_div(known)?;
    }
    let made = shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent))?;
    (made == total).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::{Constant, arithmetic, resolve};

    #[test]
    fn nothing_does_not_combine_with_a_number() {
        let (nothing, number) = (Constant::of_ints(vec![]), Constant::of_ints(vec![3]));
        assert!(arithmetic("Add", &nothing, &number).is_err());
        assert!(arithmetic("Mul", &number, &nothing).is_err());
    }

    #[test]
    fn shapes_are_resolved_as_the_standard_says() {
        assert_eq!(resolve(&[2, 3, 4], &[0, -1]), Some(vec![2, 12]));
        assert_eq!(resolve(&[2, 3, 4], &[4, 3, 2]), Some(vec![4, 3, 2]));
        assert_eq!(resolve(&[2, 3, 4], &[-1, -1]), None);
        assert_eq!(resolve(&[2, 3, 4], &[5, -1]), None);
        assert_eq!(resolve(&[2, 0], &[0, -1]), Some(vec![2, 0]));
        assert_eq!(resolve(&[2, 0], &[-1, 0]), None);
        assert_eq!(resolve(&[2], &[i64::MAX, i64::MAX]), None);
    }
}
