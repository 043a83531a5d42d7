//! The shortcut without parameters of residual networks, which ONNX writes as slices with steps and a padding of channels.

use super::import::{Translation, text};
use super::model::Node;
use super::operators::Outcome;
use super::settings::Settings;
use crate::op::{MaxPool, Op, ShortcutA};

/// Every so many rows or columns of an image: pooling over windows of one pixel.
pub(super) fn slice<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let list = |index, name| match graph.constant(node, index)? {
        Some(constant) => constant.integers().map_err(text),
        None => Ok(settings.ints(name).unwrap_or_default().to_vec()),
    };
    let (starts, ends, axes, steps) = (list(1, "starts")?, list(2, "ends")?, list(3, "axes")?, list(4, "steps")?);
    let mut stride = [1; 2];
    for (index, &start) in starts.iter().enumerate() {
        let axis = axes.get(index).map_or(index as i64, |&axis| if axis < 0 { axis + 4 } else { axis });
        let place = usize::try_from(axis - 2).ok().filter(|&place| place < 2 && x.shape.len() == 3);
        let step = usize::try_from(steps.get(index).copied().unwrap_or(1)).ok();
        let extent = place.map_or(0, |place| x.shape[place + 1] as i64);
        match (place, step, ends.get(index)) {
            (Some(place), Some(step @ 1..), Some(&end)) if start == 0 && end >= extent => stride[place] = step,
            _ if x.guessed => return Ok(x),
            _ => return Err("cuts out a part; only steps over whole rows and columns are supported".into()),
        }
    }
    if stride == [1; 2] {
        return Ok(x);
    }
    let name = graph.name(node);
    Ok(graph.draft.push(&name, MaxPool { kernel: [1; 2], stride, padding: [0; 4] }, &[&x]))
}

/// Channels of zeros before and after those of an image, together with the steps taken just before.
pub(super) fn pad<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let mode = settings.text("mode", "constant");
    let filling = match graph.constant(node, 2)? {
        Some(constant) => constant.values().map_err(text)?.first().copied().unwrap_or(0.0),
        None => settings.number("value").unwrap_or(0.0),
    };
    let pads = match graph.constant(node, 1)? {
        Some(constant) => constant.integers().map_err(text)?,
        None => settings.ints("pads").unwrap_or_default().to_vec(),
    };
    let &[channels, _, _] = x.shape.as_slice() else {
        return if x.guessed { Ok(x) } else { Err(format!("pads {:?}, which is no image", x.shape)) };
    };
    let (before, after) = match pads[..] {
        [0, before, 0, 0, 0, after, 0, 0] if mode == "constant" && filling == 0.0 => (before, after),
        _ => return Err("pads other than channels by zeros; pad within the convolution or pooling".into()),
    };
    let total = usize::try_from(before).ok().zip(usize::try_from(after).ok());
    let total = total.and_then(|(before, after)| channels.checked_add(before)?.checked_add(after));
    let wide = |channels| ShortcutA { channels, stride: 1 };
    let total = total.filter(|&total| wide(total).channels_before(channels) as i64 == before);
    let total = total.ok_or_else(|| format!("adds {before} and {after} channels; add as many before as after"))?;
    let (from, stride) = strided(graph, x.value);
    let name = graph.name(node);
    match graph.known(from).filter(|_| stride[0] == stride[1]) {
        Some(start) => Ok(graph.draft.push(&name, ShortcutA { channels: total, stride: stride[0] }, &[&start])),
        None => Ok(graph.draft.push(&name, wide(total), &[&x])),
    }
}

/// The value from which `value` takes every so many rows and columns, and how many.
fn strided(graph: &Translation<'_>, mut value: usize) -> (usize, [usize; 2]) {
    let mut stride = [1_usize; 2];
    while let Some((before, Op::MaxPool(MaxPool { kernel: [1, 1], stride: more, padding: [0, 0, 0, 0] }))) =
        graph.draft.before(value)
    {
        stride = [0, 1].map(|axis| stride[axis].saturating_mul(more[axis]));
        value = before;
    }
    (value, stride)
}
