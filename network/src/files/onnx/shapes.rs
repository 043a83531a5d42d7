//! ONNX's windows, poolings and changes of shape.

use super::constants::resolve;
use super::import::{Translation, text};
use super::model::Node;
use super::operators::Outcome;
use super::settings::Settings;
use crate::files::draft::Known;
use crate::op::{AvgPool, MaxPool, Op, Reshape, Window};

/// The window that a convolution or a pooling moves over `x`.
pub(super) fn window(settings: &Settings<'_, '_>, kernel: [usize; 2], x: &Known) -> Result<Window, String> {
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

pub(super) fn max_pool<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
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

pub(super) fn average_pool<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
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
pub(super) fn global_average<'a>(graph: &mut Translation<'a>, node: &Node<'a>, x: &Known, keep: bool) -> Known {
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

pub(super) fn reduce_mean<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let axes = match graph.constant(node, 1)? {
        Some(axes) => axes.integers().map_err(text)?,
        None => settings.ints("axes").unwrap_or_default().to_vec(),
    };
    settings.require("noop_with_empty_axes", 0, 0)?;
    let rank = x.shape.len() as i64 + 1;
    let mut axes: Vec<i64> = axes.iter().map(|&axis| if axis < 0 { axis + rank } else { axis }).collect();
    axes.sort_unstable();
    let is_of_image = rank == 4 && axes == [2, 3];
    let is_of_sequence = rank == 3 && axes == [1];
    if !is_of_image && !is_of_sequence && !x.guessed {
        let supported = "only rows and columns of images and the steps of sequences are supported";
        return Err(format!("averages over axes {axes:?} of {rank}; {supported}"));
    }
    let keep = settings.int("keepdims", 1) != 0;
    if keep && is_of_sequence {
        return Err("keeps the axis over which it averages a sequence; export it without keepdims".into());
    }
    Ok(global_average(graph, node, &x, keep))
}

pub(super) fn flatten<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
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

pub(super) fn reshape<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
    let x = graph.computed(node, 0)?;
    let wanted = match graph.constant(node, 1)? {
        Some(shape) => shape.integers().map_err(text)?,
        None => settings.ints("shape").unwrap_or_default().to_vec(),
    };
    if settings.int("allowzero", 0) != 0 && wanted.contains(&0) {
        return Err(format!("makes an array of shape {wanted:?} without elements; leave allowzero out"));
    }
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

pub(super) fn squeeze<'a>(graph: &mut Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Outcome {
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
