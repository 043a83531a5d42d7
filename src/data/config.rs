//! A configured source: which rows make which split, and how values are scaled.

use std::path::PathBuf;

use super::columns::{Answer, Columns};
use super::error::DataError;
use super::facts::Task;
use super::find::{DataRoots, find_own, find_own_folder};
use super::scale::Scale;
use super::select::{Portion, Step};
use super::source::{Part, Reading, Source, SourceFile};

/// A source and how its rows are prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct DataConfig {
    /// Where data come from.
    pub source: Source,
    /// The folder of a published set, or the file of one's own, from the spec's folder.
    pub path: Option<PathBuf>,
    /// A second file of one's own, to test on.
    pub test_path: Option<PathBuf>,
    /// What is held back from training for validation; none means that there is no validation split.
    pub validation: Option<Portion>,
    /// What is held back for testing where the source has no test set of its own.
    pub test: Holdout,
    /// The most rows a split may have.
    pub limit: Limits,
    /// Height and width that pictures are brought to; none leaves them as they are. Sources with pictures of many sizes
    /// have a size of their own.
    pub size: Option<[usize; 2]>,
    /// How values are scaled.
    pub scale: Scale,
}

/// What is held back for testing where the source has no test set of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Holdout {
    /// A fifth, drawn from seed 0, the same share of each class.
    #[default]
    Fifth,
    /// Nothing: there is no test split.
    Nothing,
    /// This portion.
    Portion(Portion),
}

/// The most rows a split may have; the first ones are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of the training split.
    pub train: Option<usize>,
    /// Of the validation split.
    pub validation: Option<usize>,
    /// Of the test split.
    pub test: Option<usize>,
}

/// The splits there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SplitName {
    /// Rows to train on.
    Train,
    /// Rows to stop and to choose by.
    Validation,
    /// Rows to report on.
    Test,
}

impl SplitName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Its name in references.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl DataConfig {
    /// A source with its defaults.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            path: None,
            test_path: None,
            validation: None,
            test: Holdout::default(),
            limit: Limits::default(),
            size: None,
            scale: Scale::default(),
        }
    }

    /// What is to be told of a row.
    #[must_use]
    pub fn task(&self) -> Task {
        match &self.source {
            Source::Npz { train, .. } if train.regression => Task::Regression { outputs: None },
            Source::Parquet(columns) | Source::Csv(columns) => match &columns.answer {
                Answer::Label { .. } => Task::Classification,
                Answer::Targets(names) => Task::Regression { outputs: Some(names.len()) },
            },
            source => source.description().facts.task,
        }
    }

    /// Features per row, where known without reading.
    #[must_use]
    pub fn features(&self) -> Option<usize> {
        match &self.source {
            Source::Npz { train, .. } => train.features,
            Source::Parquet(columns) | Source::Csv(columns) => columns.width,
            _ => self.shape().map(|shape| shape.iter().product()),
        }
    }

    /// The shape of a row, where known without reading: `[height, width]`, `[channels, height, width]`, or other.
    #[must_use]
    pub fn shape(&self) -> Option<Vec<usize>> {
        if let Some(pictures) = self.source.pictures() {
            return Some(pictures.shape());
        }
        let mut shape = self.source.description().facts.shape?.to_vec();
        if let (Some(size), true) = (self.size, shape.len() >= 2) {
            let sides = shape.len() - 2;
            shape[sides..].copy_from_slice(&size);
        }
        Some(shape)
    }

    /// The size that pictures are brought to, unless it is the one they have.
    pub(crate) fn resized(&self) -> Option<[usize; 2]> {
        let own = self.source.description().facts.shape.and_then(|shape| shape.last_chunk::<2>());
        self.size.filter(|size| own != Some(size))
    }

    /// How many classes there are, where known without reading; none for regression.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        match &self.source {
            Source::Npz { train, .. } if !train.regression => train.classes,
            Source::Parquet(Columns { answer: Answer::Label { classes, .. }, .. })
            | Source::Csv(Columns { answer: Answer::Label { classes, .. }, .. }) => *classes,
            Source::Folder(pictures) => pictures.classes,
            source => source.description().facts.classes,
        }
    }

    /// Whether there is such a split.
    #[must_use]
    pub fn has(&self, split: SplitName) -> bool {
        self.selection(split).is_some()
    }

    /// How many rows a split has, where known without reading; none also where there is no such split.
    #[must_use]
    pub fn rows(&self, split: SplitName) -> Option<usize> {
        let (part, steps) = self.selection(split)?;
        steps.iter().try_fold(self.part_rows(part)?, |rows, step| step.count(rows))
    }

    /// Which part a split is taken from, and how; none where there is no such split.
    #[must_use]
    pub(super) fn selection(&self, split: SplitName) -> Option<(Part, Vec<Step>)> {
        let held_back = self.held_back();
        let validation = self.portion(SplitName::Validation);
        let (part, mut steps) = match (split, held_back) {
            (SplitName::Test, _) if self.has_test_part() => (Part::Test, Vec::new()),
            (SplitName::Test, held_back) => (Part::Train, vec![Step::Keep(held_back?)]),
            (_, held_back) => (Part::Train, held_back.map(Step::Drop).into_iter().collect()),
        };
        let limit = match split {
            SplitName::Train => {
                steps.extend(validation.map(Step::Drop));
                self.limit.train
            }
            SplitName::Validation => {
                steps.push(Step::Keep(validation?));
                self.limit.validation
            }
            SplitName::Test => self.limit.test,
        };
        steps.extend(limit.map(Step::Limit));
        Some((part, steps))
    }

    /// How the part that a split is taken from is decoded; none where there is no such split.
    #[must_use]
    pub fn reading_of(&self, split: SplitName) -> Option<Reading> {
        let (part, _) = self.selection(split)?;
        self.source.reading(part, self.test_path.is_some())
    }

    /// What is held back from the training part for this split, without what has no effect.
    #[must_use]
    pub fn portion(&self, split: SplitName) -> Option<Portion> {
        match split {
            SplitName::Train => None,
            SplitName::Validation => self.validation.as_ref().map(|portion| self.normal(portion)),
            SplitName::Test => self.held_back(),
        }
    }

    /// How values are scaled, said as plainly as can be without reading.
    #[must_use]
    pub fn resolved_scale(&self) -> Scale {
        match (&self.scale, self.source.holds_codes()) {
            (Scale::Auto, Some(true)) => Scale::Unit,
            (Scale::Auto, Some(false)) => Scale::None,
            (scale, _) => scale.clone(),
        }
    }

    /// Finds all files of the source.
    ///
    /// # Errors
    /// [`DataError::Missing`], which says where a file was looked for and how to get it.
    pub fn files(&self, roots: &DataRoots) -> Result<Vec<SourceFile>, DataError> {
        let name = self.source.name();
        if self.source.is_own_file() {
            let path = self.path.as_ref().ok_or_else(|| self.no_path())?;
            let find_own = if self.source.pictures().is_some() { find_own_folder } else { find_own };
            let mut files = vec![find_own(name, "file", path, roots)?];
            if let Some(path) = &self.test_path {
                files.push(find_own(name, "test-file", path, roots)?);
            }
            return Ok(files);
        }
        let mut files = self.source.find(Part::Train, self.path.as_deref(), roots)?;
        if self.has_test_part() {
            files.extend(self.source.find(Part::Test, self.path.as_deref(), roots)?);
        }
        Ok(files)
    }

    pub(super) fn no_path(&self) -> DataError {
        let what = if self.source.pictures().is_some() { "a folder" } else { "a file" };
        let problem = format!("is missing: {} reads {what} of yours", self.source.name());
        DataError::setting("path", problem, "write `path = \"...\"`, starting from the folder of the spec")
    }

    /// Whether the source comes with a test set.
    #[must_use]
    pub fn has_test_part(&self) -> bool {
        self.source.reading(Part::Test, self.test_path.is_some()).is_some()
    }

    /// What the training part gives up for testing.
    pub(super) fn held_back(&self) -> Option<Portion> {
        if self.has_test_part() {
            return None;
        }
        match &self.test {
            Holdout::Fifth => Some(self.normal(&Portion::Share { share: 0.2, seed: 0, stratified: true })),
            Holdout::Nothing => None,
            Holdout::Portion(portion) => Some(self.normal(portion)),
        }
    }

    /// The portion without what has no effect: there are no classes to stratify by in regression.
    fn normal(&self, portion: &Portion) -> Portion {
        match portion {
            Portion::Share { share, seed, .. } if self.task() != Task::Classification => {
                Portion::Share { share: *share, seed: *seed, stratified: false }
            }
            other => other.clone(),
        }
    }

    pub(super) fn part_rows(&self, part: Part) -> Option<usize> {
        let facts = &self.source.description().facts;
        match part {
            Part::Train => facts.train_rows,
            Part::Test => facts.test_rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::npz::Arrays;
    use super::*;

    fn share(share: f64) -> Portion {
        Portion::Share { share, seed: 0, stratified: true }
    }

    #[test]
    fn rows_of_every_split_are_known_without_reading() {
        let rows = |config: &DataConfig| SplitName::ALL.map(|split| config.rows(split));
        let mut digits = DataConfig::new(Source::Digits);
        assert_eq!(rows(&digits), [Some(1438), None, Some(359)]);
        digits.validation = Some(share(0.1));
        assert_eq!(rows(&digits), [Some(1294), Some(144), Some(359)]);
        digits.test = Holdout::Nothing;
        assert_eq!(rows(&digits), [Some(1617), Some(180), None]);
        let mut mnist = DataConfig::new(Source::Mnist);
        mnist.validation = Some(Portion::First(10_000));
        mnist.limit = Limits { train: Some(5000), validation: None, test: Some(1000) };
        assert_eq!(rows(&mnist), [Some(5000), Some(10_000), Some(1000)]);
        assert!(!DataConfig::new(Source::Mnist).has(SplitName::Validation));
        assert_eq!(rows(&DataConfig::new(Source::Npz { train: Arrays::default(), test: None })), [None; 3]);
    }
}
