//! A long training in parts: how long they are, and the state between two of them as tables.

use duress_cache::{Artifact, ColumnSpec, Table, TableBuilder, TableError, Tree};
use duress_engine::run::{Chain, RunContext};
use duress_engine::stage::StageError;
use duress_network::{Network, Weights};

use super::curve;
use crate::nn::train::{Best, Course, CurvePoint, Running, State, TrainError, TrainHooks, Training, on_one_thread};
use crate::nn::weights_table::{WeightsTableError, weights_from_table, weights_to_table};

/// Multiply-adds of a part: a few seconds of work.
const PART_WORK: u64 = 1 << 37;
/// Multiply-adds by which a part is longer for each parameter, since a state takes time to write.
const PER_PARAMETER: u64 = 1 << 17;

/// What an update costs beside its multiply-adds, counted in those.
const PER_UPDATE: u64 = 1 << 20;
/// Multiply-adds of a batch, forward, from which a training is worth all threads.
const SHARED_FROM: u64 = 1 << 26;

/// Multiply-adds of a part of a training of `network`.
pub(super) fn part_work(network: &Network) -> u64 {
    PART_WORK + (network.parameter_count() as u64).saturating_mul(PER_PARAMETER)
}

/// Updates in a part of `part` multiply-adds or more of a training of `total`, each of `work` multiply-adds; a training of
/// less than two parts has one.
fn updates_per_part(part: u64, total: u64, work: u64) -> u64 {
    let most = (part / work.saturating_add(PER_UPDATE)).max(1);
    total.div_ceil((total / most).max(1)).max(1)
}

/// A training, part by part.
pub(super) struct Parts<'a, 'b> {
    cx: &'a RunContext<'b>,
    training: Training<'a>,
    network: &'a Network,
    /// Updates in a part.
    every: u64,
    /// Whether a batch is worth all threads.
    shared: bool,
}

impl<'a, 'b> Parts<'a, 'b> {
    /// `training` of `network` in parts of about `part` multiply-adds; an update takes `update` of them, a batch forward
    /// alone `batch`.
    pub(super) fn new(
        cx: &'a RunContext<'b>,
        training: Training<'a>,
        network: &'a Network,
        (part, update, batch): (u64, u64, u64),
    ) -> Self {
        let every = updates_per_part(part, training.total(), update);
        Self { cx, training, network, every, shared: batch >= SHARED_FROM }
    }

    /// The training, when its parts are done.
    pub(super) fn into_training(self) -> Training<'a> {
        self.training
    }

    /// Updates made when part `index` is done.
    fn end(&self, index: usize) -> u64 {
        self.every.saturating_mul(index as u64 + 1).min(self.training.total())
    }
}

impl Chain for Parts<'_, '_> {
    fn parts(&self) -> usize {
        usize::try_from(self.training.total().div_ceil(self.every)).unwrap_or(usize::MAX).max(1)
    }

    fn identity(&self, index: usize) -> Tree {
        Tree::map([("updates", self.end(index) as i64)])
    }

    fn advance(&mut self, index: usize) -> Result<(), StageError> {
        let (until, mut hooks) = (self.end(index), Hooks { cx: self.cx, whole: self.parts() == 1 });
        let training = &mut self.training;
        let work = || training.advance(until, &mut hooks);
        // Small trainings side by side share the processor best with a thread each.
        let done = if self.shared { Ok(self.cx.install(work)) } else { on_one_thread(work) };
        done.map_err(StageError::failed)?.map_err(|error| match error {
            TrainError::Cancelled => StageError::Cancelled,
            error => StageError::failed(error),
        })
    }

    fn is_over(&self) -> bool {
        self.training.is_over()
    }

    fn state(&self) -> Result<Artifact, StageError> {
        tables(&self.training.state()).map_err(StageError::failed)
    }

    fn resume(&mut self, index: usize, state: &Artifact) -> Result<(), StageError> {
        let state = state_of(state, self.network).map_err(StageError::failed)?;
        if state.course.updates != self.end(index) {
            return Err(StageError::failed("the state is that of another number of updates; run `duress cache gc`"));
        }
        self.training.resume(state).map_err(StageError::failed)
    }
}

/// Lets a training speak with the run.
struct Hooks<'a, 'b> {
    cx: &'a RunContext<'b>,
    /// Whether it is in one part, which nobody waits for the end of.
    whole: bool,
}

impl TrainHooks for Hooks<'_, '_> {
    fn progress(&mut self, done: u64, total: u64) {
        self.cx.progress(done, total);
    }

    fn cancelled(&self) -> bool {
        self.whole && self.cx.check().is_err()
    }
}

/// Tables that are no state of a training.
#[derive(Debug, thiserror::Error)]
enum StateError {
    /// A table is missing.
    #[error("read the state of a training: its table `{0}` is missing; run `duress cache gc`")]
    Missing(String),
    /// A number is missing or unknown.
    #[error("read the state of a training: `{0}` is none of its numbers; run `duress cache gc`")]
    Number(String),
    /// A table is not made as it should be.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Weights or moments are not made as they should be.
    #[error(transparent)]
    Weights(#[from] WeightsTableError),
}

/// A state as tables: `weights`, a table for each moment, `curve`, `course`, and where there are any `best` and `snapshot`.
fn tables(state: &State) -> Result<Artifact, StateError> {
    let State { course, weights, moments } = state;
    let mut tables = vec![
        ("weights".to_owned(), weights_to_table(weights)?),
        ("curve".to_owned(), curve(&course.curve)?),
        ("course".to_owned(), numbers(course)?),
    ];
    for (index, moment) in moments.iter().enumerate() {
        let mut shaped = Weights::zeros(weights.network());
        let trained = shaped.values_mut().zip(moment).filter(|(_, moment)| !moment.is_empty());
        trained.for_each(|(values, moment)| values.copy_from_slice(moment));
        tables.push((moment_name(index), weights_to_table(&shaped)?));
    }
    for (name, weights) in
        [("best", course.best.as_ref().map(|best| &best.weights)), ("snapshot", course.snapshot.as_ref())]
    {
        if let Some(weights) = weights {
            tables.push((name.to_owned(), weights_to_table(weights)?));
        }
    }
    Ok(Artifact::new(tables))
}

fn moment_name(index: usize) -> String {
    format!("moment-{}", index + 1)
}

/// The numbers of a course, a row each. All are exact: counts stay far below `2^53`.
fn numbers(course: &Course) -> Result<Table, TableError> {
    let Running { rows, loss, correct, lr } = course.running;
    let mut all = vec![
        ("updates", course.updates as f64),
        ("stopped", f64::from(u8::from(course.stopped))),
        ("running-rows", rows),
        ("running-loss", loss),
        ("running-correct", correct),
        ("running-lr", lr),
    ];
    if let Some(best) = &course.best {
        all.extend([
            ("best-loss", best.loss),
            ("best-update", best.update as f64),
            ("best-waited", best.waited as f64),
        ]);
    }
    let mut table = TableBuilder::new().text("name").column(ColumnSpec::float("number"));
    for (name, number) in all {
        table.push([name.into(), number.into()])?;
    }
    table.finish()
}

/// The state that `tables` hold, of a training of `network`.
fn state_of(state: &Artifact, network: &Network) -> Result<State, StateError> {
    let table = |name: &str| state.table(name).ok_or_else(|| StateError::Missing(name.to_owned()));
    let optional = |name: &str| state.table(name).map(weights_from_table).transpose();
    let course = table("course")?;
    let (names, values) = (course.strings("name")?, course.f64s("number")?);
    let number = |name: &str| {
        let row = names.iter().position(|own| own == Some(name));
        row.map(|row| values.value(row)).ok_or_else(|| StateError::Number(name.to_owned()))
    };
    let best = match optional("best")? {
        Some(weights) => Some(Best {
            loss: number("best-loss")?,
            update: number("best-update")? as u64,
            waited: number("best-waited")? as u64,
            weights,
        }),
        None => None,
    };
    let running = Running {
        rows: number("running-rows")?,
        loss: number("running-loss")?,
        correct: number("running-correct")?,
        lr: number("running-lr")?,
    };
    let mut moments = Vec::new();
    while let Some(moment) = state.table(&moment_name(moments.len())) {
        let values = weights_from_table(moment)?.into_tensors().into_iter().map(|tensor| tensor.values);
        let trained = |(values, parameter): (Vec<f32>, &duress_network::graph::Parameter)| {
            if parameter.role.is_trained() { values } else { Vec::new() }
        };
        moments.push(values.zip(network.parameters()).map(trained).collect());
    }
    let course = Course {
        updates: number("updates")? as u64,
        stopped: number("stopped")? != 0.0,
        running,
        curve: points(table("curve")?)?,
        best,
        snapshot: optional("snapshot")?,
    };
    Ok(State { course, weights: weights_from_table(table("weights")?)?, moments })
}

/// The points of a learning curve.
fn points(curve: &Table) -> Result<Vec<CurvePoint>, StateError> {
    let (metrics, splits) = (curve.strings("metric")?, curve.strings("split")?);
    let (updates, epochs, values) = (curve.i64s("update")?, curve.f64s("epoch")?, curve.f64s("value")?);
    let point = |row| {
        Ok(CurvePoint {
            update: updates.value(row) as u64,
            epoch: epochs.value(row),
            split: known(splits.value(row))?,
            metric: known(metrics.value(row))?,
            value: values.value(row),
        })
    };
    (0..curve.rows()).map(point).collect()
}

/// The name of a split or a metric of a curve.
fn known(name: &str) -> Result<&'static str, StateError> {
    let names = ["train", "validation", "loss", "accuracy", "learning-rate"];
    names.into_iter().find(|known| *known == name).ok_or_else(|| StateError::Number(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::train::{EarlyStopping, Length, NoHooks, Optimizer, TrainConfig, Trained, train};
    use crate::nn::{Activation, Examples, Init, Mlp, Scheme, Stream};

    #[test]
    fn parts_follow_from_the_work_and_a_training_of_a_few_seconds_has_one() {
        // 784-300-100-10 on batches of 60: a published round of 50 040 updates, and a short one.
        let network = Mlp::new(784, &[300, 100], 10, Activation::relu(), true).graph().expect("a network");
        let (part, work) = (part_work(&network), 3 * 60 * network.macs());
        assert_eq!(updates_per_part(part, 4_000, work), 4_000);
        let every = updates_per_part(part, 50_040, work);
        assert!((2_000..8_000).contains(&every), "{every}");
        assert_eq!(updates_per_part(part, 100, u64::MAX), 1);
        assert_eq!(updates_per_part(u64::MAX, 100, 1), 100);
        assert_eq!(updates_per_part(1, 1, 1), 1);
        assert!(updates_per_part(part, u64::MAX, 1) > 10_000);
    }

    fn examples(seed: u64) -> Examples {
        let mut stream = Stream::new(seed, "examples", &[]);
        let labels: Vec<u32> = (0..90).map(|row| row % 3).collect();
        let mut x = vec![0.0; 90 * 5];
        stream.fill_normal(&mut x, 0.0, 1.0);
        x.chunks_mut(5).zip(&labels).for_each(|(x, label)| x[*label as usize] += 1.5);
        Examples { features: 5, classes: 3, x, labels, ..Examples::default() }
    }

    fn through_tables(training: &Training<'_>, network: &Network) -> State {
        let state = training.state();
        let read = state_of(&tables(&state).expect("sound"), network).expect("sound");
        assert_eq!(read, state);
        read
    }

    /// A training with batch normalisation put down after every update and taken up by another, which starts elsewhere.
    #[test]
    fn a_training_put_down_after_any_update_ends_in_the_same_bits() {
        use duress_network::arch::{Layer, layers};
        let network = layers::network(&[5], &[Layer::linear(8), Layer::batch_norm(), Layer::relu(), Layer::linear(3)]);
        let network = network.expect("sound layers");
        let start = network.initialize(&Scheme::new(Init::HeNormal, Init::Zeros), 1);
        let (data, validation) = (examples(1), examples(2));
        let optimizers = [
            Optimizer::adam(0.01),
            Optimizer::sgd(0.05, 0.9),
            Optimizer::sgd(0.05, 0.0),
            Optimizer::RmsProp { lr: 0.003, decay: 0.9, eps: 1e-8, momentum: 0.5, centered: true },
        ];
        for optimizer in optimizers {
            let config = TrainConfig {
                length: Length::Steps(11),
                batch: 20,
                optimizer,
                evaluate_every: Some(3),
                early_stopping: Some(EarlyStopping { patience: 2, min_delta: 0.0 }),
                snapshot: 4,
                warmup: 3,
                ..TrainConfig::default()
            };
            let begin =
                || Training::new(&config, (start.clone(), None), (&data, Some(&validation)), None).expect("fits");
            let whole =
                train(&config, start.clone(), None, &data, Some(&validation), None, &mut NoHooks).expect("fits");
            let mut training = begin();
            while !training.is_over() {
                training.advance(training.updates() + 1, &mut NoHooks).expect("sound");
                let state = through_tables(&training, &network);
                training = begin();
                training.resume(state).expect("its own state");
            }
            let resumed: Trained = training.finish();
            assert_eq!(resumed, whole, "{optimizer:?}");
            assert_ne!(whole.snapshot, whole.weights);
        }
    }

    #[test]
    fn the_state_of_another_training_is_refused_and_changes_nothing() {
        let network = |hidden: usize| Mlp::new(5, &[hidden], 3, Activation::relu(), true).graph().expect("a network");
        let start = |hidden| network(hidden).initialize(&Scheme::new(Init::HeNormal, Init::Zeros), 1);
        let data = examples(1);
        let config = |optimizer| TrainConfig { length: Length::Steps(5), optimizer, ..TrainConfig::default() };
        let (adam, sgd) = (config(Optimizer::adam(0.01)), config(Optimizer::sgd(0.01, 0.9)));
        let begin = |config, hidden| Training::new(config, (start(hidden), None), (&data, None), None).expect("fits");
        let mut own = begin(&adam, 4);
        own.advance(2, &mut NoHooks).expect("sound");
        let before = own.state();
        for mut other in [begin(&sgd, 4), begin(&adam, 6)] {
            other.advance(3, &mut NoHooks).expect("sound");
            assert!(own.resume(other.state()).is_err());
            assert_eq!(own.state(), before);
        }
        let mut lacking = tables(&before).expect("sound");
        lacking.tables.remove("course");
        assert!(matches!(state_of(&lacking, &network(4)), Err(StateError::Missing(_))));
    }
}
