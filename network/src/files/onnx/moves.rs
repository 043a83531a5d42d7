//! Nodes that lay numbers out anew: transpositions, reshapes, selections.

use super::constants::resolve;
use super::import::{Translation, Value, text};
use super::laid::Laid;
use super::model::Node;
use super::settings::Settings;
use crate::op::Op;

/// The most dimensions that are followed.
const MOST_DIMENSIONS: usize = 8;

/// What `node` gives where it lays numbers out anew, output by output; `None` for all other nodes.
pub(super) fn translate<'a>(
    graph: &mut Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
) -> Option<Result<Vec<Value<'a>>, String>> {
    let laid = match graph.input(node, 0).ok()?? {
        Value::Laid(laid) => laid.clone(),
        Value::Constant(_) if node.op == "MatMul" => return sum_of_steps(graph, node).map(|sum| Ok(vec![sum])),
        // Images are the business of poolings and shortcuts.
        Value::Computed(known) if known.guessed => {
            let lays_out = matches!(node.op.as_str(), "Transpose" | "Unsqueeze" | "Gather" | "Split");
            // One problem is enough: what these say of it is not looked at.
            for name in ["perm", "axes", "split"] {
                settings.ints(name);
            }
            settings.int("axis", 0);
            settings.int("num_outputs", 0);
            return lays_out.then(|| Ok(vec![Value::Computed(known.clone()); node.outputs.len()]));
        }
        Value::Computed(known) => match (node.op.as_str(), known.shape.len()) {
            ("Transpose" | "Unsqueeze" | "Gather" | "Split", _) => Laid::of(known),
            ("Reshape" | "Squeeze" | "Slice", 1 | 2) if !graph.pooled.contains_key(&known.value) => Laid::of(known),
            _ => return None,
        },
        Value::Stack(parts) if node.op == "Gather" => {
            return Some(part(graph, node, settings, parts).map(|part| vec![Value::Laid(part)]));
        }
        _ => return None,
    };
    let one = |laid: Result<Laid, String>| laid.map(|laid| vec![Value::Laid(laid)]);
    let moved = Move { graph, node, settings, laid: &laid };
    Some(match node.op.as_str() {
        "Transpose" => one(moved.transpose()),
        "Reshape" => one(moved.reshape()),
        "Flatten" => one(moved.flatten()),
        "Unsqueeze" => one(moved.unsqueeze()),
        "Squeeze" => one(moved.squeeze()),
        "Gather" => one(moved.gather()),
        "Slice" => one(moved.slice()),
        "Split" => moved.split(),
        _ => return None,
    })
}

/// A row of ones times a sequence, which is its mean times the number of its steps.
fn sum_of_steps<'a>(graph: &mut Translation<'a>, node: &Node<'a>) -> Option<Value<'a>> {
    let row = graph.constant(node, 0).ok()??;
    let (shape, values) = (row.extents().ok()?, row.values().ok()?);
    let x = graph.computed(node, 1).ok()?;
    let &[steps, features] = x.shape.as_slice() else { return None };
    if shape != [1, steps] || values.iter().any(|value| value.to_bits() != 1.0_f32.to_bits()) {
        return None;
    }
    let name = graph.name(node);
    let mean = graph.draft.push(&name, Op::GlobalAvgPool, &[&x]);
    Some(Value::Laid(Laid { factor: steps as f32, ..Laid::shaped(&mean, vec![1, 1, features]) }))
}

/// An axis counted from the start.
fn place(axis: i64, rank: usize) -> Result<usize, String> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|&at| at < rank).ok_or_else(|| format!("names axis {axis} of {rank}"))
}

/// One of several values side by side.
fn part<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    parts: &[Laid],
) -> Result<Laid, String> {
    settings.require("axis", 0, 0)?;
    match entries(graph, node, parts.len())? {
        (entries, false) if entries.len() == 1 => {
            let part = &parts[entries[0]];
            Ok(part.reshaped(part.shape[1..].to_vec()))
        }
        _ => Err("takes several of the states of recurrent layers, where one at a time is supported".into()),
    }
}

/// The entries that a constant names, of `extent`.
fn entries<'a>(graph: &Translation<'a>, node: &Node<'a>, extent: usize) -> Result<(Vec<usize>, bool), String> {
    let index = graph.constant(node, 1)?.ok_or("lacks what to take")?;
    let places = index.integers().map_err(text)?;
    let entries = places.iter().map(|&at| place(at, extent)).collect::<Result<Vec<_>, _>>()?;
    match index.shape.len() {
        0 => Ok((entries, false)),
        1 => Ok((entries, true)),
        _ => Err("takes entries in several dimensions, which is not supported".into()),
    }
}

/// A node that moves numbers, and those that it moves.
#[derive(Clone, Copy)]
struct Move<'g, 's, 'a> {
    graph: &'g Translation<'a>,
    node: &'g Node<'a>,
    settings: &'g Settings<'s, 'a>,
    laid: &'g Laid,
}

impl<'a> Move<'_, '_, 'a> {
    /// Axes from an attribute, or from the second input.
    fn axes(&self, rank: usize) -> Result<Option<Vec<usize>>, String> {
        let axes = match self.graph.constant(self.node, 1)? {
            Some(axes) => Some(axes.integers().map_err(text)?),
            None => self.settings.ints("axes").map(<[i64]>::to_vec),
        };
        axes.map(|axes| axes.iter().map(|&axis| place(axis, rank)).collect()).transpose()
    }

    fn transpose(&self) -> Result<Laid, String> {
        let Self { graph, settings, laid, .. } = *self;
        let rank = laid.shape.len();
        let axes: Vec<usize> = match settings.ints("perm") {
            None => (0..rank).rev().collect(),
            Some(axes) => axes.iter().map(|&axis| place(axis, rank)).collect::<Result<_, _>>()?,
        };
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..rank) {
            return Err(format!("permutes {rank} axes by {axes:?}"));
        }
        laid.transposed(&axes, &graph.listed)
    }

    fn reshape(&self) -> Result<Laid, String> {
        let Self { graph, node, settings, laid } = *self;
        let wanted = graph.constant(node, 1)?.ok_or("lacks its shape")?.integers().map_err(text)?;
        if settings.int("allowzero", 0) != 0 && wanted.contains(&0) {
            return Err(format!("makes an array of shape {wanted:?} without elements; leave allowzero out"));
        }
        let shape = resolve(&laid.shape, &wanted).filter(|shape| shape.len() <= MOST_DIMENSIONS);
        shape.map(|shape| laid.reshaped(shape)).ok_or_else(|| format!("cannot make {wanted:?} of {:?}", laid.shape))
    }

    fn flatten(&self) -> Result<Laid, String> {
        let Self { settings, laid, .. } = *self;
        let rank = laid.shape.len();
        let axis = settings.int("axis", 1);
        let axis = if axis == rank as i64 { rank } else { place(axis, rank)? };
        let (before, after) = laid.shape.split_at(axis);
        Ok(laid.reshaped(vec![before.iter().product(), after.iter().product()]))
    }

    fn unsqueeze(&self) -> Result<Laid, String> {
        let Self { graph, node, settings, laid } = *self;
        let count = match graph.constant(node, 1)? {
            Some(axes) => axes.count().map_err(text)?,
            None => settings.ints("axes").map_or(0, <[i64]>::len),
        };
        let rank = laid.shape.len().saturating_add(count);
        if rank > MOST_DIMENSIONS {
            return Err(format!("makes {rank} dimensions, more than are followed"));
        }
        let mut axes = self.axes(rank)?.unwrap_or_default();
        axes.sort_unstable();
        let mut shape = laid.shape.clone();
        for axis in axes {
            shape.insert(axis.min(shape.len()), 1);
        }
        Ok(laid.reshaped(shape))
    }

    fn squeeze(&self) -> Result<Laid, String> {
        let Self { laid, .. } = *self;
        let axes = self.axes(laid.shape.len())?;
        let goes = |at: usize| axes.as_ref().map_or(laid.shape[at] == 1, |axes| axes.contains(&at));
        if let Some(at) = (0..laid.shape.len()).find(|&at| goes(at) && laid.shape[at] != 1) {
            return Err(format!("drops axis {at} of {:?}", laid.shape));
        }
        let shape = (0..laid.shape.len()).filter(|&at| !goes(at)).map(|at| laid.shape[at]).collect();
        Ok(laid.reshaped(shape))
    }

    fn gather(&self) -> Result<Laid, String> {
        let Self { graph, node, settings, laid } = *self;
        let axis = place(settings.int("axis", 0), laid.shape.len())?;
        let (entries, keep) = entries(graph, node, laid.shape[axis])?;
        laid.taken(axis, &entries, keep, &graph.listed)
    }

    fn slice(&self) -> Result<Laid, String> {
        let Self { graph, node, settings, laid } = *self;
        let list = |index, name| match graph.constant(node, index)? {
            Some(constant) => constant.integers().map_err(text),
            None => Ok(settings.ints(name).unwrap_or_default().to_vec()),
        };
        let (starts, ends, axes, steps) = (list(1, "starts")?, list(2, "ends")?, list(3, "axes")?, list(4, "steps")?);
        let mut laid = laid.clone();
        for (at, (&start, &end)) in starts.iter().zip(&ends).enumerate() {
            let axis = place(axes.get(at).copied().unwrap_or(at as i64), laid.shape.len())?;
            if steps.get(at).is_some_and(|&step| step != 1) {
                return Err("takes steps over a sequence, which is not supported".into());
            }
            let extent = laid.shape[axis] as i64;
            let clamp = |at: i64| if at < 0 { at.saturating_add(extent) } else { at }.clamp(0, extent) as usize;
            let entries: Vec<usize> = (clamp(start)..clamp(end)).collect();
            laid = laid.taken(axis, &entries, true, &graph.listed)?;
        }
        Ok(laid)
    }

    fn split(&self) -> Result<Vec<Value<'a>>, String> {
        let Self { graph, node, settings, laid } = *self;
        let axis = place(settings.int("axis", 0), laid.shape.len())?;
        let (extent, parts) = (laid.shape[axis], node.outputs.len().max(1));
        settings.int("num_outputs", 0);
        let sizes: Vec<usize> = match graph.constant(node, 1)? {
            Some(sizes) => sizes.integers().map_err(text)?,
            None => settings.ints("split").map_or(vec![extent.div_ceil(parts) as i64; parts], <[i64]>::to_vec),
        }
        .iter()
        .map(|&size| usize::try_from(size).unwrap_or(usize::MAX))
        .collect();
        if sizes.len() != parts || sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size)) != Some(extent) {
            return Err(format!("splits {extent} entries into {sizes:?}"));
        }
        let mut start = 0;
        sizes
            .iter()
            .map(|&size| {
                let entries: Vec<usize> = (start..start + size).collect();
                start += size;
                laid.taken(axis, &entries, true, &graph.listed).map(Value::Laid)
            })
            .collect()
    }
}
