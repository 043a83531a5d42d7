//! The keys of `[data.X]`, and what they mean as a [`DataConfig`].

use std::path::PathBuf;

use duress_engine::spec::{
    Choice as _, Count, Fraction, FromSpec, Node, OneOrMany, Positive, Schema, Scope, Value, Variant,
};
use duress_engine::{choice, config};

use duress_cache::Tree;

use crate::data::{self, Answer, Arrays, Cifar, Columns, DataConfig, Holdout, Limits, Pictures, Portion};

config! {
    /// A data set: where it comes from, which rows are trained on, validated on and tested on, how values are scaled.
    ///
    /// `data = "X"` where a stage trains means the training rows with those held back for validation; elsewhere a split is named:
    /// `"X.train"`, `"X.validation"`, `"X.test"`.
    pub struct Data {
        /// Where the data come from.
        source: SourceWord,
        /// The folder of a published set, or the file of your own, starting from the folder of the spec. Published sets
        /// are otherwise looked for in the data folders (`--data`, `DURESS_DATA`), where `duress data fetch` puts them.
        path: Option<PathBuf>,
        /// A second file of your own, to test on.
        test_path: Option<PathBuf>,
        /// What is held back from training for validation: `{ first = 10_000 }`, `{ last = 500 }` or `{ share = 0.1 }`.
        /// Without it there is no validation split.
        validation: Option<PortionKeys>,
        /// What is held back for testing where the source has no test set of its own; `"none"` for nothing. By default a
        /// fifth, `{ share = 0.2 }`.
        test: Option<TestKeys>,
        /// The most rows a split may have, for all splits or for each: `5_000` or `{ train = 5_000, test = 1_000 }`. The
        /// first rows are kept.
        limit: Option<LimitKeys>,
        /// Pixels that the sides of pictures are brought to, one number or `[height, width]`, as Pillow's bilinear filter
        /// makes them. Needed for a `folder`; 32 for `gtsrb` unless written; otherwise pictures stay as they are.
        [unit = "pixels"]
        size: Option<OneOrMany<Count>>,
        /// Whether the colours of a `folder` or of `gtsrb` are mixed to grey.
        grey: bool = false,
        /// How values are scaled. By default codes (grey levels) are divided by their greatest, so that they are between 0
        /// and 1, and measurements stay. Epsilons are in units of the scaled data.
        scale: Option<ScaleKeys>,
        /// Features of a row of your own file; with `classes`, it lets a plan check shapes without reading the file.
        features: Option<Count>,
        /// How many classes the labels of your own file come from; they are numbered from 0.
        classes: Option<Count>,
        /// The feature columns of a `parquet` or `csv` file, or one column of lists; by default the lists in `x`, else
        /// every column but the answer.
        columns: Option<OneOrMany<String>>,
        /// The column of labels of a `parquet` or `csv` file; by default `label`.
        label: Option<String>,
        /// The column or columns of numbers to fit of a `parquet` or `csv` file, instead of a label.
        target: Option<OneOrMany<String>>,
        /// The array of features of an `npz` file; by default `x`.
        x: Option<String>,
        /// The array of labels, or of numbers to fit, of an `npz` file; by default `y`.
        y: Option<String>,
        /// The array of features to test on, in the same `npz` file.
        test_x: Option<String>,
        /// The array of labels to test on, in the same `npz` file.
        test_y: Option<String>,
        /// Whether `y` of an `npz` file holds numbers to fit.
        regression: bool = false,
    }
}

choice! {
    /// Where data come from.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum SourceWord {
        /// 1 797 handwritten digits of 8 x 8 pixels, part of the program.
        "digits" => Digits,
        /// Handwritten digits of 28 x 28 pixels, 60 000 and 10 000.
        "mnist" => Mnist,
        /// Pictures of clothes of 28 x 28 pixels, 60 000 and 10 000.
        "fashion-mnist" => FashionMnist,
        /// Photographs of ten classes, 32 x 32 pixels in colour, 50 000 and 10 000.
        "cifar-10" => Cifar10,
        /// Photographs of a hundred classes, 32 x 32 pixels in colour, 50 000 and 10 000.
        "cifar-100" => Cifar100,
        /// Photographs of 43 German traffic signs, in colour and of any size.
        "gtsrb" => Gtsrb,
        /// Housing values, 506 rows of 13 features: regression.
        "boston" => Boston,
        /// Pictures of your own (PNG, JPEG, PPM), a folder for each class.
        "folder" => Folder,
        /// Arrays of a numpy archive of your own.
        "npz" => Npz,
        /// A Parquet table of your own.
        "parquet" => Parquet,
        /// A CSV table of your own, with a header line.
        "csv" => Csv,
    }
}

config! {
    /// A portion of the rows: exactly one of `first`, `last` and `share`.
    #[derive(Clone)]
    pub struct PortionKeys {
        /// So many rows from the start.
        [unit = "rows"]
        first: Option<Count>,
        /// So many rows from the end.
        [unit = "rows"]
        last: Option<Count>,
        /// This share of the rows, drawn at random.
        share: Option<Fraction>,
        /// What the draw of `share` starts from; the study's seed does not change it.
        seed: u64 = 0,
        /// Whether `share` takes the same share of each class.
        stratified: bool = true,
    }
}

config! {
    /// The most rows of each split.
    #[derive(Clone)]
    pub struct LimitTable {
        /// Of the training split.
        [unit = "rows"]
        train: Option<Count>,
        /// Of the validation split.
        [unit = "rows"]
        validation: Option<Count>,
        /// Of the test split.
        [unit = "rows"]
        test: Option<Count>,
    }
}

config! {
    /// What is taken away from values and then divided by: one number, or one a feature. Codes are first divided by their greatest.
    #[derive(Clone)]
    pub struct MeanStd {
        /// What is taken away.
        mean: OneOrMany<f64>,
        /// What is divided by.
        std: OneOrMany<Positive>,
    }
}

choice! {
    /// How values are scaled.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum ScaleWord {
        /// Codes divided by the greatest of their format.
        "unit" => Unit,
        /// As in the file.
        "none" => None,
        /// Each feature less its mean and divided by its standard deviation over the training rows.
        "standard" => Standard,
    }
}

/// `"none"` or a portion.
#[derive(Clone, Debug)]
pub enum TestKeys {
    /// Nothing is held back.
    Nothing,
    /// This is.
    Portion(PortionKeys),
}

/// A number for all splits, or one for each.
#[derive(Clone, Debug)]
pub enum LimitKeys {
    /// For all.
    All(Count),
    /// For each.
    Each(LimitTable),
}

/// A word, or mean and standard deviation.
#[derive(Clone, Debug)]
pub enum ScaleKeys {
    /// A word.
    Word(ScaleWord),
    /// Given numbers.
    Fixed(MeanStd),
}

/// What these three have in common: a table, or something shorter.
macro_rules! short_or_table {
    ($type:ident, $short:expr, $table:ident($keys:ty), $read:expr) => {
        impl FromSpec for $type {
            fn schema() -> Schema {
                Schema::AnyOf(vec![$short, <$keys>::schema()])
            }

            fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
                match &node.value {
                    Value::Table(_) => <$keys>::from_spec(node, scope).map(Self::$table),
                    _ => $read(node, scope),
                }
            }

            fn to_tree(&self) -> Option<Tree> {
                None
            }
        }
    };
}

short_or_table!(
    TestKeys,
    Schema::Choice(vec![Variant { name: "none", doc: "Nothing is held back.".to_owned(), content: None }]),
    Portion(PortionKeys),
    |node: &Node, scope: &mut Scope<'_>| {
        if matches!(&node.value, Value::String(word) if word == "none") {
            return Some(Self::Nothing);
        }
        scope.wrong_type_with(node, "`\"none\"` or a table", Some("write, for example, `{ share = 0.2 }`".to_owned()));
        None
    }
);
short_or_table!(LimitKeys, Count::schema(), Each(LimitTable), |node, scope| Count::from_spec(node, scope)
    .map(Self::All));
short_or_table!(ScaleKeys, ScaleWord::schema(), Fixed(MeanStd), |node, scope| {
    ScaleWord::from_spec(node, scope).map(Self::Word)
});

impl PortionKeys {
    /// The portion, unless not exactly one of its ways is written.
    pub(super) fn portion(&self) -> Option<Portion> {
        match (self.first, self.last, self.share) {
            (Some(count), None, None) => Some(Portion::First(count.size())),
            (None, Some(count), None) => Some(Portion::Last(count.size())),
            (None, None, Some(share)) => {
                Some(Portion::Share { share: share.0, seed: self.seed, stratified: self.stratified })
            }
            _ => None,
        }
    }
}

/// Keys that only some sources read: the key, whether it is written, and the sources.
pub(super) type Reserved = (&'static str, bool, &'static [SourceWord]);

impl Data {
    /// What the keys mean. Portions that are written wrongly, which are faults of their own, count as not written.
    pub(super) fn meaning(&self) -> DataConfig {
        let limit = |count: Option<Count>| count.map(Count::size);
        DataConfig {
            source: self.source(),
            path: self.path.clone(),
            test_path: self.test_path.clone(),
            validation: self.validation.as_ref().and_then(PortionKeys::portion),
            test: match &self.test {
                None => Holdout::Fifth,
                Some(TestKeys::Nothing) => Holdout::Nothing,
                Some(TestKeys::Portion(keys)) => keys.portion().map_or(Holdout::Fifth, Holdout::Portion),
            },
            limit: match &self.limit {
                None => Limits::default(),
                Some(LimitKeys::All(all)) => {
                    let all = Some(all.size());
                    Limits { train: all, validation: all, test: all }
                }
                Some(LimitKeys::Each(each)) => {
                    Limits { train: limit(each.train), validation: limit(each.validation), test: limit(each.test) }
                }
            },
            size: self.size().filter(|_| !matches!(self.source, SourceWord::Gtsrb | SourceWord::Folder)),
            scale: match &self.scale {
                None => data::Scale::Auto,
                Some(ScaleKeys::Word(ScaleWord::Unit)) => data::Scale::Unit,
                Some(ScaleKeys::Word(ScaleWord::None)) => data::Scale::None,
                Some(ScaleKeys::Word(ScaleWord::Standard)) => data::Scale::Standard,
                Some(ScaleKeys::Fixed(fixed)) => data::Scale::Fixed {
                    mean: fixed.mean.0.clone(),
                    std: fixed.std.0.iter().map(|std| std.0).collect(),
                },
            },
        }
    }

    fn source(&self) -> data::Source {
        match self.source {
            SourceWord::Digits => data::Source::Digits,
            SourceWord::Mnist => data::Source::Mnist,
            SourceWord::FashionMnist => data::Source::FashionMnist,
            SourceWord::Cifar10 => data::Source::Cifar(Cifar::Ten),
            SourceWord::Cifar100 => data::Source::Cifar(Cifar::Hundred),
            SourceWord::Gtsrb => data::Source::Gtsrb(self.pictures([32, 32], None)),
            // A size of zero, which is a fault, stands for none.
            SourceWord::Folder => data::Source::Folder(self.pictures([0, 0], self.classes.map(Count::size))),
            SourceWord::Boston => data::Source::Boston,
            SourceWord::Npz => {
                let arrays = |x: &Option<String>, y: &Option<String>, default: (&str, &str)| Arrays {
                    x: x.clone().unwrap_or_else(|| default.0.to_owned()),
                    y: y.clone().unwrap_or_else(|| default.1.to_owned()),
                    regression: self.regression,
                    features: self.features.map(Count::size),
                    classes: self.classes.map(Count::size),
                };
                let tested = self.test_x.is_some() || self.test_y.is_some();
                let test = tested.then(|| arrays(&self.test_x, &self.test_y, ("test_x", "test_y")));
                data::Source::Npz { train: arrays(&self.x, &self.y, ("x", "y")), test }
            }
            SourceWord::Parquet => data::Source::Parquet(self.table_columns()),
            SourceWord::Csv => data::Source::Csv(self.table_columns()),
        }
    }

    /// Height and width; a list of other than one or two numbers counts as zeros, which are a fault.
    fn size(&self) -> Option<[usize; 2]> {
        let size = self.size.as_ref()?;
        Some(match size.0[..] {
            [side] => [side.size(); 2],
            [height, width] => [height.size(), width.size()],
            _ => [0, 0],
        })
    }

    fn pictures(&self, size: [usize; 2], classes: Option<usize>) -> Pictures {
        Pictures { size: self.size().unwrap_or(size), grey: self.grey, classes }
    }

    fn table_columns(&self) -> Columns {
        let answer = match &self.target {
            Some(target) => Answer::Targets(target.0.clone()),
            None => Answer::Label {
                column: self.label.clone().unwrap_or_else(|| "label".to_owned()),
                classes: self.classes.map(Count::size),
            },
        };
        Columns {
            features: self.columns.as_ref().map(|columns| columns.0.clone()).unwrap_or_default(),
            answer,
            width: self.features.map(Count::size),
        }
    }

    /// The keys that the source must be one of these to have.
    pub(super) fn reserved(&self) -> [Reserved; 11] {
        use SourceWord::{Csv, Folder, Gtsrb, Npz, Parquet};
        const OWN: &[SourceWord] = &[Npz, Parquet, Csv];
        const COUNTED: &[SourceWord] = &[Folder, Npz, Parquet, Csv];
        const TABLE: &[SourceWord] = &[Parquet, Csv];
        [
            ("features", self.features.is_some(), OWN),
            ("classes", self.classes.is_some(), COUNTED),
            ("grey", self.grey, &[Folder, Gtsrb]),
            ("columns", self.columns.is_some(), TABLE),
            ("label", self.label.is_some(), TABLE),
            ("target", self.target.is_some(), TABLE),
            ("x", self.x.is_some(), &[Npz]),
            ("y", self.y.is_some(), &[Npz]),
            ("test_x", self.test_x.is_some(), &[Npz]),
            ("test_y", self.test_y.is_some(), &[Npz]),
            ("regression", self.regression, &[Npz]),
        ]
    }

    /// The word after `source =`.
    pub(super) fn word(&self) -> SourceWord {
        self.source
    }

    /// The words of these sources, for messages.
    pub(super) fn words(sources: &[SourceWord]) -> String {
        sources.iter().map(|source| format!("`{}`", source.word())).collect::<Vec<_>>().join(", ")
    }
}
