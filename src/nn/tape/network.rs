//! A whole network as one operation on dfdx's tape.

use std::sync::Arc;

use dfdx::prelude::{Cpu, HasShape, PutTape, Shape, SplitTape, Tape as _, Tensor, TensorFromVec};
use duress_network::op::Randomness;
use duress_network::training::{Mode, Trainer, Wanted};

use super::{Matrix, Tape, TapeError, Vector};

/// The parameters of a network while they are trained.
pub(super) struct Parameters {
    pub(super) trainer: Arc<Trainer>,
    /// One for each parameter, buffers too.
    pub(super) tensors: Vec<Vector>,
    /// The same numbers, where the kernels read them.
    pub(super) values: Vec<Vec<f32>>,
    /// For each parameter that a mask is about, which of its numbers take part.
    pub(super) keep: Vec<Option<Arc<Vec<bool>>>>,
}

/// The numbers of a tensor, in one copy.
pub(super) fn values<S: Shape, T>(tensor: &Tensor<S, f32, Cpu, T>) -> Vec<f32> {
    let mut out = vec![0.0; tensor.shape().num_elements()];
    tensor.copy_into(&mut out);
    out
}

/// What the network gives for `x`, `rows x outputs`, in training; the gradients of dropped weights are exactly zero.
///
/// Running statistics are replaced by those after this batch.
pub(super) fn network(
    parameters: &mut Parameters,
    x: Matrix<Tape>,
    random: Randomness,
) -> Result<Matrix<Tape>, TapeError> {
    let (x, mut tape) = x.split_tape();
    let rows = x.shape().0;
    let arrays: Vec<&[f32]> = parameters.values.iter().map(Vec::as_slice).collect();
    let trainer = Arc::clone(&parameters.trainer);
    let saved = trainer.forward(&arrays, &values(&x), rows, Mode::Train(random))?;
    for (index, values) in saved.running_statistics() {
        parameters.values[*index].clone_from(values);
    }
    let outputs = trainer.network().output_len();
    let out: Matrix = x.device().tensor_from_vec(saved.logits().to_vec(), (rows, outputs));
    let out_ghost = out.ghost();
    let ghosts: Vec<_> = parameters.tensors.iter().map(Tensor::ghost).collect();
    let keep = parameters.keep.clone();
    tape.add_backward_op(move |gradients| {
        // Nobody reads the gradient of an intermediate twice, so it is taken rather than copied.
        let dlogits = std::mem::take(&mut **gradients.get_or_alloc_mut(&out_ghost)?);
        let wanted = Wanted { parameters: true, input: false };
        let Ok(found) = trainer.backward(&saved, &dlogits, wanted) else {
            return Err(dfdx::tensor::CpuError::WrongNumElements);
        };
        let found = ghosts.iter().zip(found.parameters).zip(&keep).filter(|((_, gradient), _)| !gradient.is_empty());
        for ((ghost, mut gradient), keep) in found {
            for (d, _) in gradient.iter_mut().zip(keep.iter().flat_map(|keep| keep.iter())).filter(|(_, keep)| !**keep)
            {
                *d = 0.0;
            }
            gradients.get_or_alloc_mut(ghost)?.copy_from_slice(&gradient);
        }
        Ok(())
    });
    Ok(out.put_tape(tape))
}
