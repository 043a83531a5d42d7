//! A device that is chosen when the program runs, and what runs on it.
//!
//! Everything else is compiled for each device; here is the one place where a choice is looked at.

use std::borrow::Cow;

use crate::campaign;
use crate::campaign::{Campaign, CampaignError, Examples, Outcome, Run};
use crate::device::Cpu;
#[cfg(feature = "cuda")]
use crate::device::Cuda;
use crate::executor::{Executor, ExecutorError, Options};
use crate::graph::Network;
use crate::kernel::sparse::Pattern;
use crate::training::{Gradients, Mode, Saved, Trainer, TrainingError, Wanted};
use crate::weights::Weights;

/// Calls a method of whichever it is.
macro_rules! on {
    ($chosen:expr, $it:ident => $call:expr) => {
        match $chosen {
            Self::Cpu($it) => $call,
            #[cfg(feature = "cuda")]
            Self::Cuda($it) => $call,
        }
    };
}

/// Where to compute.
#[derive(Clone, Debug)]
pub enum Processor {
    /// On the processor that the program runs on.
    Cpu(Cpu),
    /// On an NVIDIA GPU.
    #[cfg(feature = "cuda")]
    Cuda(Cuda),
}

impl Default for Processor {
    fn default() -> Self {
        Self::Cpu(Cpu::new())
    }
}

/// An [`Executor`] on the chosen device.
#[derive(Debug)]
pub enum ChosenExecutor {
    /// On the processor.
    Cpu(Executor),
    /// On a GPU.
    #[cfg(feature = "cuda")]
    Cuda(Executor<Cuda>),
}

impl ChosenExecutor {
    /// [`Executor::on`].
    #[must_use]
    pub fn on(processor: &Processor, weights: &Weights, options: &Options) -> Self {
        match processor {
            Processor::Cpu(device) => Self::Cpu(Executor::on(device.clone(), weights, options)),
            #[cfg(feature = "cuda")]
            Processor::Cuda(device) => Self::Cuda(Executor::on(device.clone(), weights, options)),
        }
    }

    /// [`Executor::run`].
    ///
    /// # Errors
    /// As there.
    pub fn run(&self, x: &[f32], images: usize) -> Result<Vec<f32>, ExecutorError> {
        on!(self, executor => executor.run(x, images))
    }

    /// [`Executor::trace`].
    ///
    /// # Errors
    /// As there.
    pub fn trace(&self, x: &[f32], images: usize, values: &[usize]) -> Result<Vec<Vec<f32>>, ExecutorError> {
        on!(self, executor => executor.trace(x, images, values))
    }

    /// [`Executor::evaluate`].
    ///
    /// # Errors
    /// As there.
    pub fn evaluate(
        &self,
        given: &[(usize, &[f32])],
        images: usize,
        wanted: &[usize],
    ) -> Result<Vec<Vec<f32>>, ExecutorError> {
        on!(self, executor => executor.evaluate(given, images, wanted))
    }
}

/// A [`Trainer`] on the chosen device.
#[derive(Clone, Debug)]
pub enum ChosenTrainer {
    /// On the processor.
    Cpu(Trainer),
    /// On a GPU.
    #[cfg(feature = "cuda")]
    Cuda(Trainer<Cuda>),
}

/// What a [`ChosenTrainer`] saved for the way back.
pub enum ChosenSaved {
    /// On the processor.
    Cpu(Saved),
    /// On a GPU.
    #[cfg(feature = "cuda")]
    Cuda(Saved<Cuda>),
}

impl ChosenSaved {
    /// [`Saved::logits`].
    #[must_use]
    pub fn logits(&self) -> &[f32] {
        on!(self, saved => saved.logits())
    }

    /// [`Saved::running_statistics`].
    #[must_use]
    pub fn running_statistics(&self) -> &[(usize, Vec<f32>)] {
        on!(self, saved => saved.running_statistics())
    }
}

impl ChosenTrainer {
    /// [`Trainer::masked`].
    #[must_use]
    pub fn masked(processor: &Processor, network: &Network, keep: &[Option<&[bool]>]) -> Self {
        match processor {
            Processor::Cpu(device) => Self::Cpu(Trainer::masked(network, device.clone(), keep)),
            #[cfg(feature = "cuda")]
            Processor::Cuda(device) => Self::Cuda(Trainer::masked(network, device.clone(), keep)),
        }
    }

    /// [`Trainer::network`].
    #[must_use]
    pub fn network(&self) -> &Network {
        on!(self, trainer => trainer.network())
    }

    /// [`Trainer::pattern`].
    #[must_use]
    pub fn pattern(&self, index: usize) -> Option<&Pattern> {
        on!(self, trainer => trainer.pattern(index))
    }

    /// [`Trainer::taking_part`].
    #[must_use]
    pub fn taking_part<'w>(&self, weights: &'w Weights) -> Vec<Cow<'w, [f32]>> {
        on!(self, trainer => trainer.taking_part(weights))
    }

    /// [`Trainer::forward`].
    ///
    /// # Errors
    /// As there.
    pub fn forward(
        &self,
        parameters: &[&[f32]],
        x: &[f32],
        images: usize,
        mode: Mode,
    ) -> Result<ChosenSaved, TrainingError> {
        match self {
            Self::Cpu(trainer) => trainer.forward(parameters, x, images, mode).map(ChosenSaved::Cpu),
            #[cfg(feature = "cuda")]
            Self::Cuda(trainer) => trainer.forward(parameters, x, images, mode).map(ChosenSaved::Cuda),
        }
    }

    /// [`Trainer::backward`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// If the values were saved by a trainer on another device.
    pub fn backward(&self, saved: &ChosenSaved, dlogits: &[f32], wanted: Wanted) -> Result<Gradients, TrainingError> {
        match (self, saved) {
            (Self::Cpu(trainer), ChosenSaved::Cpu(saved)) => trainer.backward(saved, dlogits, wanted),
            #[cfg(feature = "cuda")]
            (Self::Cuda(trainer), ChosenSaved::Cuda(saved)) => trainer.backward(saved, dlogits, wanted),
            #[cfg(feature = "cuda")]
            _ => panic!("a trainer is given back what it saved itself"),
        }
    }
}

/// A [`Campaign`] on the chosen device.
#[derive(Debug)]
pub enum ChosenCampaign<'a> {
    /// On the processor.
    Cpu(Campaign<'a>),
    /// On a GPU, where every method is that of [`Campaign::evaluate_by_suffix`].
    #[cfg(feature = "cuda")]
    Cuda(Campaign<'a, Cuda>),
}

impl<'a> ChosenCampaign<'a> {
    /// [`Campaign::on`].
    ///
    /// # Errors
    /// As there.
    pub fn on(
        processor: &Processor,
        weights: &'a Weights,
        examples: Examples<'a>,
        options: campaign::Options,
    ) -> Result<Self, CampaignError> {
        match processor {
            Processor::Cpu(device) => Campaign::on(device.clone(), weights, examples, options).map(Self::Cpu),
            #[cfg(feature = "cuda")]
            Processor::Cuda(device) => Campaign::on(device.clone(), weights, examples, options).map(Self::Cuda),
        }
    }

    /// [`Campaign::examples`].
    #[must_use]
    pub fn examples(&self) -> usize {
        on!(self, campaign => campaign.examples())
    }

    /// [`Campaign::correct`].
    #[must_use]
    pub fn correct(&self) -> Option<u32> {
        on!(self, campaign => campaign.correct())
    }

    /// [`Campaign::evaluate`], or on a GPU [`Campaign::evaluate_by_suffix`].
    ///
    /// # Errors
    /// As there.
    pub fn evaluate(&self, runs: &[Run<'_>]) -> Result<Vec<Outcome>, CampaignError> {
        match self {
            Self::Cpu(campaign) => campaign.evaluate(runs),
            #[cfg(feature = "cuda")]
            Self::Cuda(campaign) => campaign.evaluate_by_suffix(runs),
        }
    }
}
