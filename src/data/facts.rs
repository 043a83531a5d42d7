//! What is known of a source before a byte of it is read.

use super::{boston, cifar, digits, fashion_mnist, gtsrb, mnist};

/// The names of ten digits.
pub(super) const DIGIT_NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What is to be told of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Its class.
    Classification,
    /// Numbers.
    Regression {
        /// How many, where that is known.
        outputs: Option<usize>,
    },
}

/// What is known of a source without reading it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// What is to be told of a row.
    pub task: Task,
    /// The shape of a row, such as `[28, 28]`.
    pub shape: Option<&'static [usize]>,
    /// How many classes there are; none for regression.
    pub classes: Option<usize>,
    /// Rows to train on, before anything is held back.
    pub train_rows: Option<usize>,
    /// Rows of the source's own test set.
    pub test_rows: Option<usize>,
    /// What the classes are called; empty where they have no names.
    pub class_names: &'static [&'static str],
    /// What networks usually normalise pictures by, in units of the scaled data.
    pub moments: Option<Moments>,
}

/// Mean and standard deviation of each channel of pictures between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Means.
    pub mean: &'static [f64],
    /// Standard deviations.
    pub std: &'static [f64],
}

/// A source for people: what `duress data list` and `duress data show` tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Description {
    /// Its name after `source =`.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What is known of it.
    pub facts: Facts,
    /// Where it comes from.
    pub origin: &'static str,
    /// Under which terms.
    pub licence: &'static str,
}

const OPEN: Facts = Facts {
    task: Task::Classification,
    shape: None,
    classes: None,
    train_rows: None,
    test_rows: None,
    class_names: &[],
    moments: None,
};

/// Every source, in the order of the documentation.
pub const SOURCES: [Description; 11] = [
    digits::DESCRIPTION,
    mnist::DESCRIPTION,
    fashion_mnist::DESCRIPTION,
    cifar::TEN,
    cifar::HUNDRED,
    gtsrb::DESCRIPTION,
    boston::DESCRIPTION,
    Description {
        name: "folder",
        summary: "Your own pictures, a folder for each class",
        facts: OPEN,
        origin: "your files",
        licence: "yours",
    },
    Description {
        name: "npz",
        summary: "Your own arrays in a NumPy archive",
        facts: OPEN,
        origin: "your file",
        licence: "yours",
    },
    Description {
        name: "parquet",
        summary: "Your own table in a Parquet file",
        facts: OPEN,
        origin: "your file",
        licence: "yours",
    },
    Description {
        name: "csv",
        summary: "Your own table in a CSV file with a header line",
        facts: OPEN,
        origin: "your file",
        licence: "yours",
    },
];

/// The description of the source called `name`.
#[must_use]
pub fn describe(name: &str) -> Option<&'static Description> {
    SOURCES.iter().find(|description| description.name == name)
}

impl Facts {
    /// Features per row, where known.
    #[must_use]
    pub fn features(&self) -> Option<usize> {
        self.shape.map(|shape| shape.iter().product())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sizes_are_known_without_reading() {
        let facts = |name| describe(name).expect("known").facts;
        let mnist = facts("mnist");
        assert_eq!((mnist.features(), mnist.classes), (Some(784), Some(10)));
        assert_eq!((mnist.train_rows, mnist.test_rows), (Some(60_000), Some(10_000)));
        assert_eq!((facts("digits").features(), facts("digits").train_rows), (Some(64), Some(1797)));
        assert_eq!(facts("boston").task, Task::Regression { outputs: Some(1) });
        assert_eq!(facts("fashion-mnist").class_names[9], "Ankle boot");
        assert!(describe("mnits").is_none());
    }

    #[test]
    fn names_are_distinct_and_classes_are_named_or_not() {
        for (i, source) in SOURCES.iter().enumerate() {
            assert!(SOURCES[..i].iter().all(|other| other.name != source.name));
            assert!(source.summary.len() <= 72);
            let names = source.facts.class_names.len();
            assert!(names == 0 || Some(names) == source.facts.classes);
        }
    }
}
