//! A whole network as one operation on dfdx's tape.

use std::sync::{Arc, Mutex, PoisonError};

use dfdx::prelude::{Cpu, PutTape, SplitTape, Tape as _, Tensor, TensorFromVec, Trace};
use duress_network::chosen::ChosenTrainer;
use duress_network::op::Randomness;
use duress_network::training::{Mode, TrainingError, Wanted};

use super::{Matrix, Place, Tape, TapeError};

/// Where the gradients of a network's parameters are on the tape.
///
/// The numbers of parameters stay where the kernels read them; their places are tensors of no numbers, and what is found at
/// them after the way back is the gradient as the kernels made it, uncopied.
pub(super) struct Places {
    device: Cpu,
    root: Place,
    /// One for each parameter, buffers too.
    parameters: Vec<Place>,
    /// Why the last way back gave nothing, if it gave nothing: dfdx would panic if it were told.
    failure: Arc<Mutex<Option<TrainingError>>>,
}

impl Places {
    /// Places for so many parameters.
    pub(super) fn new(parameters: usize) -> Self {
        let device = Cpu::default();
        let place = || device.tensor_from_vec(Vec::new(), (0,));
        Self { root: place(), parameters: (0..parameters).map(|_| place()).collect(), device, failure: Arc::default() }
    }

    /// Whether the last way back came to its end.
    pub(super) fn check(&self) -> Result<(), TapeError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Takes the gradients of the parameters, empty where there is none.
    pub(super) fn take(&self, gradients: &mut super::Grads) -> Result<Vec<Vec<f32>>, TapeError> {
        let take = |place: &Place| Ok(std::mem::take(&mut **gradients.get_or_alloc_mut(place)?));
        self.parameters.iter().map(take).collect()
    }
}

/// Running statistics after a batch, each with the number of its parameter.
pub(super) type Statistics = Vec<(usize, Vec<f32>)>;

/// What the network gives in training for `x` (`rows x inputs`), as `rows x outputs`; and the running statistics after.
pub(super) fn network(
    trainer: &Arc<ChosenTrainer>,
    places: &Places,
    parameters: &[&[f32]],
    (x, rows): (&[f32], usize),
    random: Randomness,
) -> Result<(Matrix<Tape>, Statistics), TapeError> {
    let saved = trainer.forward(parameters, x, rows, Mode::Train(random))?;
    let statistics = saved.running_statistics().to_vec();
    let outputs = trainer.network().output_len();
    let out: Matrix = places.device.tensor_from_vec(saved.logits().to_vec(), (rows, outputs));
    let out_ghost = out.ghost();
    let ghosts: Vec<_> = places.parameters.iter().map(Tensor::ghost).collect();
    let (trainer, failure) = (Arc::clone(trainer), Arc::clone(&places.failure));
    let (_, mut tape) = places.root.leaky_trace().split_tape();
    tape.add_backward_op(move |gradients| {
        // Nobody reads the gradient of an intermediate twice, so it is taken rather than copied.
        let dlogits = std::mem::take(&mut **gradients.get_or_alloc_mut(&out_ghost)?);
        let wanted = Wanted { parameters: true, input: false };
        let found = match trainer.backward(&saved, &dlogits, wanted) {
            Ok(found) => found,
            Err(error) => {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return Ok(());
            }
        };
        for (ghost, gradient) in ghosts.iter().zip(found.parameters) {
            **gradients.get_or_alloc_mut(ghost)? = gradient;
        }
        Ok(())
    });
    Ok((out.put_tape(tape), statistics))
}
