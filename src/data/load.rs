//! From a recipe to rows. What a file decodes to is shared by everyone in the process who reads it, for as long as anyone
//! holds it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use duress_cache::Digest;

use super::decoded::{Answers, Decoded, Values};
use super::error::DataError;
use super::recipe::{Recipe, Rows};
use super::scale::{Scale, Transform, transform};
use super::select;
use super::source::SourceBytes;
use crate::nn::Examples;

/// The rows of a split, as bytes or numbers of the file until floats are asked for; cheap to clone.
#[derive(Clone, Debug)]
pub struct Split {
    data: Arc<Decoded>,
    rows: Arc<[u32]>,
    transform: Transform,
    unit_range: bool,
}

/// Finds the bytes of a file by their digest.
pub type Resolve<'a> = &'a dyn Fn(&Digest) -> Option<SourceBytes>;

/// Makes the rows of a recipe. Files are decoded once in a process while any split holds them.
///
/// # Errors
/// [`DataError::Unknown`] where `resolve` knows no such file, [`DataError::Changed`] where its bytes are others,
/// [`DataError::Malformed`] where they do not decode, [`DataError::Setting`] where the split does not fit its rows.
pub fn load(recipe: &Recipe, resolve: Resolve<'_>) -> Result<Split, DataError> {
    let data = decoded(&recipe.rows, resolve)?;
    let rows = select::rows(&recipe.rows.select, &data.answers)?;
    let fit = match &recipe.fit {
        None => None,
        Some(fit) => {
            let data = decoded(fit, resolve)?;
            let rows = select::rows(&fit.select, &data.answers)?;
            Some((data, rows))
        }
    };
    let fit = fit.as_ref().map(|(data, rows)| (&**data, rows.as_slice()));
    let transform = transform(&recipe.scale, &data, fit)?;
    let unit_range = matches!((&recipe.scale, &data.values), (Scale::Auto | Scale::Unit, Values::Codes { .. }));
    Ok(Split { data, rows: rows.into(), transform, unit_range })
}

impl Split {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Features per row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.data.features()
    }

    /// The shape of a row, such as `[28, 28]`.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.data.shape
    }

    /// How many classes there are; 0 for regression.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.data.classes()
    }

    /// Numbers to fit per row; 0 for classification.
    #[must_use]
    pub fn targets(&self) -> usize {
        match &self.data.answers {
            Answers::Classes { .. } => 0,
            Answers::Targets { width, .. } => *width,
        }
    }

    /// Whether every value is between 0 and 1 by construction.
    #[must_use]
    pub fn is_unit_range(&self) -> bool {
        self.unit_range
    }

    /// The rows in `range`, as floats.
    ///
    /// # Panics
    /// If the range reaches beyond `rows()`.
    #[must_use]
    pub fn examples(&self, range: Range<usize>) -> Examples {
        self.collect(self.rows[range].iter().map(|&row| row as usize))
    }

    /// The rows at `indices`, in that order, as floats.
    ///
    /// # Panics
    /// If an index is not below `rows()`.
    #[must_use]
    pub fn examples_at(&self, indices: &[usize]) -> Examples {
        self.collect(indices.iter().map(|&index| self.rows[index] as usize))
    }

    /// All rows, as floats.
    #[must_use]
    pub fn all(&self) -> Examples {
        self.examples(0..self.rows())
    }

    fn collect(&self, rows: impl ExactSizeIterator<Item = usize> + Clone) -> Examples {
        let mut x = Vec::with_capacity(rows.len() * self.features());
        for row in rows.clone() {
            self.transform.write(&self.data, row, &mut x);
        }
        let (labels, targets) = match &self.data.answers {
            Answers::Classes { labels, .. } => (rows.map(|row| labels[row]).collect(), None),
            Answers::Targets { values, width } => {
                (Vec::new(), Some(rows.flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect()))
            }
        };
        Examples {
            features: self.features(),
            shape: self.shape().to_vec(),
            classes: self.classes(),
            x,
            labels,
            targets,
        }
    }
}

/// One decoded copy, or the place where it will be: whoever holds the lock decodes, the others wait for the outcome.
type Shared = Arc<Mutex<Weak<Decoded>>>;

static DECODED: Mutex<BTreeMap<String, Shared>> = Mutex::new(BTreeMap::new());

/// A panic while decoding leaves no half-made value behind, so that a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn decoded(rows: &Rows, resolve: Resolve<'_>) -> Result<Arc<Decoded>, DataError> {
    let identity = serde_json::to_string(&(&rows.reading, &rows.files, &rows.size))?;
    let place = {
        let mut all = lock(&DECODED);
        all.retain(|_, place| Arc::strong_count(place) > 1 || lock(place).strong_count() > 0);
        Arc::clone(all.entry(identity).or_default())
    };
    let mut place = lock(&place);
    if let Some(data) = place.upgrade() {
        return Ok(data);
    }
    let data = Arc::new(decode(rows, resolve)?);
    *place = Arc::downgrade(&data);
    Ok(data)
}

fn decode(rows: &Rows, resolve: Resolve<'_>) -> Result<Decoded, DataError> {
    let find = |file: &str, digest: &Digest| {
        resolve(digest).ok_or_else(|| DataError::Unknown { file: file.to_owned(), digest: *digest })
    };
    if let (Some((pictures, label)), [(file, digest)]) = (rows.reading.pictures(), &rows.files[..]) {
        return match find(file, digest)? {
            SourceBytes::Files(bundle) => pictures.decode(file, &bundle, digest, label),
            _ => Err(DataError::malformed_with(file, "it is no folder", "run the data section again")),
        };
    }
    let files = rows
        .files
        .iter()
        .map(|(file, digest)| Ok((file.clone(), find(file, digest)?.read(file, digest)?)))
        .collect::<Result<Vec<_>, DataError>>()?;
    let data = rows.reading.decode(&files)?;
    match rows.size {
        Some(size) => data.resized(size),
        None => Ok(data),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{DataConfig, Holdout, SplitName};
    use super::super::digits;
    use super::super::select::Portion;
    use super::super::source::Source;
    use super::*;

    fn digits_split(config: &DataConfig, split: SplitName) -> Split {
        let digest = Digest::of_bytes(digits::BYTES);
        let digests = BTreeMap::from([("digits".to_owned(), digest)]);
        let recipe = Recipe::of(config, split, &digests).expect("complete").expect("there is one");
        load(&recipe, &|wanted| (*wanted == digest).then_some(SourceBytes::Embedded(digits::BYTES))).expect("loads")
    }

    #[test]
    fn the_splits_of_digits_part_its_rows_and_share_one_copy() {
        let validation = Some(Portion::Share { share: 0.1, seed: 0, stratified: true });
        let config = DataConfig { validation, ..DataConfig::new(Source::Digits) };
        let splits = SplitName::ALL.map(|split| digits_split(&config, split));
        for (split, name) in splits.iter().zip(SplitName::ALL) {
            assert_eq!(Some(split.rows()), config.rows(name));
            assert!(Arc::ptr_eq(&split.data, &splits[0].data));
        }
        let mut rows: Vec<u32> = splits.iter().flat_map(|split| split.rows.iter().copied()).collect();
        rows.sort_unstable();
        assert!(rows.into_iter().eq(0..1797));
    }

    #[test]
    fn examples_are_scaled_rows_with_their_labels() {
        let split =
            digits_split(&DataConfig { test: Holdout::Nothing, ..DataConfig::new(Source::Digits) }, SplitName::Train);
        let first = split.examples(0..2);
        // The first line of the file begins 0,0,5,13,9,1 and is a zero; the second is a one.
        assert_eq!(first.row(0)[..6], [0.0, 0.0, 5.0 / 16.0, 13.0 / 16.0, 9.0 / 16.0, 1.0 / 16.0]);
        assert_eq!((first.rows(), first.features, first.classes), (2, 64, 10));
        assert_eq!(first.labels, [0, 1]);
        let swapped = split.examples_at(&[1, 0]);
        assert_eq!((swapped.row(1), &swapped.labels[..]), (first.row(0), &[1, 0][..]));
        assert!(split.is_unit_range() && split.all().x.iter().all(|x| (0.0..=1.0).contains(x)));
        assert_eq!((split.shape(), split.targets()), (&[8, 8][..], 0));
    }

    #[test]
    fn the_default_test_split_of_digits_holds_a_fifth_of_each_class() {
        let split = digits_split(&DataConfig::new(Source::Digits), SplitName::Test);
        let labels = split.all().labels;
        let published = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
        for (class, &all) in published.iter().enumerate() {
            let count = labels.iter().filter(|&&label| label as usize == class).count();
            assert!((count as f64 - 0.2 * f64::from(all)).abs() < 1.0, "{class}: {count}");
        }
    }

    #[test]
    fn a_file_that_nobody_knows_is_named() {
        let digests = BTreeMap::from([("digits".to_owned(), Digest::of_bytes(b"other"))]);
        let recipe = Recipe::of(&DataConfig::new(Source::Digits), SplitName::Test, &digests);
        let recipe = recipe.expect("complete").expect("there is one");
        let error = load(&recipe, &|_| None).expect_err("unknown");
        assert!(matches!(&error, DataError::Unknown { file, .. } if file == "digits"), "{error}");
        let error = load(&recipe, &|_| Some(SourceBytes::Embedded(digits::BYTES))).expect_err("changed");
        assert!(matches!(error, DataError::Changed { .. }), "{error}");
    }

    #[test]
    fn threads_that_ask_at_once_share_one_copy() {
        let config = DataConfig::new(Source::Digits);
        let splits: Vec<Split> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| digits_split(&config, SplitName::Train))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(splits.iter().all(|split| Arc::ptr_eq(&split.data, &splits[0].data)));
    }
}
