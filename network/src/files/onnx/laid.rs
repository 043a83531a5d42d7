//! The numbers of a layer in another order: exporters write sequences with the batch second, heads of attention, and single
//! steps as chains of transpositions, reshapes and selections. They are followed number by number for a batch of one
//! example, and dissolve where the order is one that an operation of this program knows.

use std::cell::Cell;
use std::rc::Rc;

use super::attention::Heads;
use super::constants::resolve;
use super::import::{Translation, Value, text};
use super::model::Node;
use super::settings::Settings;
use crate::files::draft::Known;
use crate::files::layout::permute;
use crate::op::{Op, Reshape, ScaleShift, Select, Step};

/// How many numbers all orders together may list; beyond that a file is no network that this program could run.
pub(super) const MOST_LISTED: usize = 1 << 27;

/// The most dimensions that are followed.
const MOST_DIMENSIONS: usize = 8;

/// The numbers of something in another order or shape.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    pub(super) source: Source,
    /// The shape in the file, for a batch of one example.
    pub(super) shape: Vec<usize>,
    /// Which number of the source each number is; absent where they are in order.
    pub(super) index: Option<Rc<[u32]>>,
    /// What they are multiplied by.
    pub(super) factor: f32,
}

/// Whose numbers they are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// What a layer gives.
    Layer(Known),
    /// What the heads of an attention give, before they are mixed: `[heads, steps, width]`.
    Heads(Rc<Heads>),
}

/// What became of numbers in another order.
pub(super) struct Settled {
    pub(super) known: Known,
    /// Their shape in the file, where that is not the batch followed by the layer's own.
    pub(super) outer: Option<Vec<usize>>,
}

impl Laid {
    /// What a layer gives, as it is.
    pub(super) fn of(known: &Known) -> Self {
        let shape = [1].into_iter().chain(known.shape.iter().copied()).collect();
        Self { source: Source::Layer(known.clone()), shape, index: None, factor: 1.0 }
    }

    /// What a layer gives, in another shape.
    pub(super) fn shaped(known: &Known, shape: Vec<usize>) -> Self {
        Self { shape, ..Self::of(known) }
    }

    /// What heads give, `leading` extents before steps and width.
    pub(super) fn of_heads(heads: Rc<Heads>, shape: Vec<usize>) -> Self {
        Self { source: Source::Heads(heads), shape, index: None, factor: 1.0 }
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Which number of the source number `at` is.
    pub(super) fn at(&self, at: usize) -> usize {
        self.index.as_ref().map_or(at, |index| index[at] as usize)
    }

    /// Whether the numbers are all those of the source, in order.
    pub(super) fn is_in_order(&self) -> bool {
        self.index.is_none()
    }

    fn reshaped(&self, shape: Vec<usize>) -> Self {
        Self { shape, ..self.clone() }
    }

    /// Entry `at` of the first axis, which stays.
    pub(super) fn entry(&self, at: usize, left: &Cell<usize>) -> Result<Self, String> {
        let entry = self.taken(0, &[at], true, left)?;
        Ok(Self { shape: self.shape[1..].to_vec(), ..entry })
    }

    /// The same in the order of `places`, with `shape`.
    fn picked(&self, shape: Vec<usize>, places: &[u32]) -> Self {
        let index: Vec<u32> = places.iter().map(|&place| self.at(place as usize) as u32).collect();
        let whole = match &self.source {
            Source::Layer(known) => known.shape.iter().product(),
            Source::Heads(heads) => heads.len(),
        };
        let in_order = index.len() == whole && index.iter().enumerate().all(|(at, &place)| at == place as usize);
        Self { shape, index: (!in_order).then(|| index.into()), ..self.clone() }
    }

    fn transposed(&self, axes: &[usize], left: &Cell<usize>) -> Result<Self, String> {
        let shape: Vec<usize> = axes.iter().map(|&axis| self.shape[axis]).collect();
        // Extents of 1 may go anywhere without moving a number.
        let moved: Vec<usize> = axes.iter().copied().filter(|&axis| self.shape[axis] != 1).collect();
        if moved.is_sorted() {
            return Ok(self.reshaped(shape));
        }
        list(self.len(), left)?;
        let places: Vec<u32> = (0..self.len() as u32).collect();
        Ok(self.picked(shape, &permute(&self.shape, &places, axes)))
    }

    /// The entries `entries` of `axis`; without `keep` the axis goes.
    fn taken(&self, axis: usize, entries: &[usize], keep: bool, left: &Cell<usize>) -> Result<Self, String> {
        let (extent, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        let mut shape = self.shape.clone();
        if keep {
            shape[axis] = entries.len();
        } else {
            shape.remove(axis);
        }
        if entries.iter().copied().eq(0..extent) {
            return Ok(self.reshaped(shape));
        }
        let blocks = self.shape[..axis].iter().product::<usize>();
        if entries.is_empty() {
            return Err("takes nothing of a sequence".into());
        }
        list(blocks.saturating_mul(entries.len()).saturating_mul(inner), left)?;
        let mut places = Vec::with_capacity(blocks * entries.len() * inner);
        for block in 0..blocks {
            for &entry in entries {
                let start = (block * extent + entry) * inner;
                places.extend(start as u32..(start + inner) as u32);
            }
        }
        Ok(self.picked(shape, &places))
    }
}

/// Fails where `count` more numbers are more than may be listed.
fn list(count: usize, left: &Cell<usize>) -> Result<(), String> {
    left.set(left.get().checked_sub(count).ok_or("lays out more numbers than a network can have")?);
    Ok(())
}

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
    Some(match node.op.as_str() {
        "Transpose" => one(transpose(graph, settings, &laid)),
        "Reshape" => one(reshape(graph, node, settings, &laid)),
        "Flatten" => one(flatten(settings, &laid)),
        "Unsqueeze" => one(unsqueeze(graph, node, settings, &laid)),
        "Squeeze" => one(squeeze(graph, node, settings, &laid)),
        "Gather" => one(gather(graph, node, settings, &laid)),
        "Slice" => one(slice(graph, node, settings, &laid)),
        "Split" => split(graph, node, settings, &laid),
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

/// Axes from an attribute, or from input `index`.
fn axes<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    index: usize,
    rank: usize,
) -> Result<Option<Vec<usize>>, String> {
    let axes = match graph.constant(node, index)? {
        Some(axes) => Some(axes.integers().map_err(text)?),
        None => settings.ints("axes").map(<[i64]>::to_vec),
    };
    axes.map(|axes| axes.iter().map(|&axis| place(axis, rank)).collect()).transpose()
}

fn transpose(graph: &Translation<'_>, settings: &Settings<'_, '_>, laid: &Laid) -> Result<Laid, String> {
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

fn reshape<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    laid: &Laid,
) -> Result<Laid, String> {
    let wanted = graph.constant(node, 1)?.ok_or("lacks its shape")?.integers().map_err(text)?;
    if settings.int("allowzero", 0) != 0 && wanted.contains(&0) {
        return Err(format!("makes an array of shape {wanted:?} without elements; leave allowzero out"));
    }
    let shape = resolve(&laid.shape, &wanted).filter(|shape| shape.len() <= MOST_DIMENSIONS);
    shape.map(|shape| laid.reshaped(shape)).ok_or_else(|| format!("cannot make {wanted:?} of {:?}", laid.shape))
}

fn flatten(settings: &Settings<'_, '_>, laid: &Laid) -> Result<Laid, String> {
    let rank = laid.shape.len();
    let axis = settings.int("axis", 1);
    let axis = if axis == rank as i64 { rank } else { place(axis, rank)? };
    let (before, after) = laid.shape.split_at(axis);
    Ok(laid.reshaped(vec![before.iter().product(), after.iter().product()]))
}

fn unsqueeze<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    laid: &Laid,
) -> Result<Laid, String> {
    let count = match graph.constant(node, 1)? {
        Some(axes) => axes.count().map_err(text)?,
        None => settings.ints("axes").map_or(0, <[i64]>::len),
    };
    let rank = laid.shape.len().saturating_add(count);
    if rank > MOST_DIMENSIONS {
        return Err(format!("makes {rank} dimensions, more than are followed"));
    }
    let mut axes = axes(graph, node, settings, 1, rank)?.unwrap_or_default();
    axes.sort_unstable();
    let mut shape = laid.shape.clone();
    for axis in axes {
        shape.insert(axis.min(shape.len()), 1);
    }
    Ok(laid.reshaped(shape))
}

fn squeeze<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    laid: &Laid,
) -> Result<Laid, String> {
    let axes = axes(graph, node, settings, 1, laid.shape.len())?;
    let goes = |at: usize| axes.as_ref().map_or(laid.shape[at] == 1, |axes| axes.contains(&at));
    if let Some(at) = (0..laid.shape.len()).find(|&at| goes(at) && laid.shape[at] != 1) {
        return Err(format!("drops axis {at} of {:?}", laid.shape));
    }
    let shape = (0..laid.shape.len()).filter(|&at| !goes(at)).map(|at| laid.shape[at]).collect();
    Ok(laid.reshaped(shape))
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

fn gather<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    laid: &Laid,
) -> Result<Laid, String> {
    let axis = place(settings.int("axis", 0), laid.shape.len())?;
    let (entries, keep) = entries(graph, node, laid.shape[axis])?;
    laid.taken(axis, &entries, keep, &graph.listed)
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

fn slice<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    laid: &Laid,
) -> Result<Laid, String> {
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

fn split<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
    laid: &Laid,
) -> Result<Vec<Value<'a>>, String> {
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
