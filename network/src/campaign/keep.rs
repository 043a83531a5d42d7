//! Operations that work on each channel alone, done on the channels that differ.

use super::change::{Numbers, Partial};
use super::flow::{Batch, Flow};
use crate::device::{Cpu, Device};
use crate::executor::plan::Stage;
use crate::kernel::{Threads, elementwise};
use crate::op::arithmetic::{Context, Forward, Kept, places};
use crate::op::{Op, ShortcutA};

/// What `op` gives where single channels of its inputs differ; `None` where it mixes channels.
pub(super) fn plain(flow: &Flow<'_, '_>, op: &Op, stage: &Stage, batch: &Batch) -> Option<Partial> {
    let partial = |value: usize| match &batch.changes.get(&value)?.numbers {
        Numbers::Partial(partial) => Some(partial),
        Numbers::Dense(_) => None,
    };
    let shapes = flow.campaign.weights.network().shapes();
    let (input, output) = (&shapes[stage.inputs[0]], &shapes[stage.head]);
    match op {
        Op::Activation(f) => {
            let mut y = partial(stage.inputs[0])?.clone();
            let how = (flow.device.instruction_set(), Threads::One);
            elementwise::activation_in_place(how, *f, &mut y.numbers);
            Some(y)
        }
        Op::Clamp(clamp) => {
            let mut y = partial(stage.inputs[0])?.clone();
            let bounds = flow.campaign.weights.of(stage.head);
            let (len, width) = (y.len(), y.width);
            for (&first, row) in y.first.iter().zip(y.numbers.chunks_exact_mut(len.max(1))) {
                let [low, high] = [0, 1].map(|which| clamp.of_channels(&bounds[which].values, first..first + width));
                let limits = elementwise::Limits { low: &low, high: &high, beyond: clamp.beyond };
                elementwise::clamp_in_place((flow.device.instruction_set(), Threads::One), limits, row);
            }
            Some(y)
        }
        Op::MaxPool(_) | Op::AvgPool(_) | Op::GlobalAvgPool => {
            let x = partial(stage.inputs[0]).filter(|x| x.width == 1)?;
            Some(Partial { numbers: one_channel(flow.device, op, x, &single(input), &single(output)), ..x.clone() })
        }
        Op::Flatten => flattened(input, partial(stage.inputs[0])?),
        Op::ShortcutA(op) => Some(shortcut(op, input, partial(stage.inputs[0]).filter(|x| x.width == 1)?)),
        Op::Concat => {
            let mut changed = stage.inputs.iter().enumerate().filter(|(_, value)| batch.changes.contains_key(value));
            let (Some((at, &value)), None) = (changed.next(), changed.next()) else { return None };
            let before: usize = stage.inputs[..at].iter().map(|&value| places(&shapes[value])[1]).sum();
            let x = partial(value)?;
            Some(Partial { first: x.first.iter().map(|first| before + first).collect(), ..x.clone() })
        }
        Op::Add => added(flow, stage, batch),
        _ => None,
    }
}

/// The shape of one channel of an array.
fn single(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [_, height, width] => vec![1, height, width],
        [steps, _] => vec![steps, 1],
        _ => vec![1],
    }
}

/// An operation on arrays of one channel.
fn one_channel(device: &Cpu, op: &Op, x: &Partial, input: &[usize], output: &[usize]) -> Vec<f32> {
    let images = x.first.len();
    let cx = Context {
        device,
        images,
        node: 0,
        inputs: &[input],
        output,
        parameters: &[],
        random: None,
        batch: None,
        wants_statistics: false,
    };
    let y = op.forward(&cx, &[&device.upload(&x.numbers)], &mut Kept::default());
    device.download(&y, images * output.iter().product::<usize>())
}

/// A channel of an image lies in one piece in the vector of its values.
fn flattened(input: &[usize], x: &Partial) -> Option<Partial> {
    let [count, _] = places(input);
    match input.len() {
        3 if x.width == 1 || count == 1 => {
            let first = x.first.iter().map(|first| first * count).collect();
            Some(Partial { first, width: x.width * count, numbers: x.numbers.clone() })
        }
        1 => Some(x.clone()),
        _ => None,
    }
}

fn shortcut(op: &ShortcutA, input: &[usize], x: &Partial) -> Partial {
    let (width, before) = (input[2], op.channels_before(input[0]));
    let rows = x.numbers.chunks_exact(width).enumerate().filter(|(row, _)| (row % input[1]).is_multiple_of(op.stride));
    let numbers = rows.flat_map(|(_, row)| row.iter().step_by(op.stride)).copied().collect();
    Partial { first: x.first.iter().map(|first| before + first).collect(), numbers, ..x.clone() }
}

/// The sum of values that differ in the same channels, or not at all.
fn added(flow: &Flow<'_, '_>, stage: &Stage, batch: &Batch) -> Option<Partial> {
    let mut changes = stage.inputs.iter().filter_map(|value| batch.changes.get(value)).map(|change| &change.numbers);
    let Numbers::Partial(model) = changes.next()? else { return None };
    let alike =
        |numbers: &Numbers| matches!(numbers, Numbers::Partial(p) if p.first == model.first && p.width == model.width);
    if !changes.all(alike) {
        return None;
    }
    let of = |value: usize| match batch.changes.get(&value).map(|change| &change.numbers) {
        Some(Numbers::Partial(partial)) => partial.numbers.clone(),
        _ => flow.place(value).channels(&batch.rows, model),
    };
    let mut sum = of(stage.inputs[0]);
    for &value in &stage.inputs[1..] {
        for (sum, x) in sum.iter_mut().zip(of(value)) {
            *sum += x;
        }
    }
    Some(Partial { numbers: sum, ..model.clone() })
}
