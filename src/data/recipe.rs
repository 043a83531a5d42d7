//! A split as a recipe: what must be known to make its rows again, and nothing else.
//!
//! A recipe names its files by digest. It says nothing of other splits unless they determine its rows: the test rows of
//! MNIST do not depend on validation, the training rows not on the test files; but where the source has no test set of its
//! own, what is held back for testing is missing from training.

use std::collections::BTreeMap;

use duress_cache::Digest;
use serde::{Deserialize, Serialize};

use super::config::{DataConfig, SplitName};
use super::error::DataError;
use super::scale::Scale;
use super::select::Step;
use super::source::{Part, Reading};

/// Raised when an equal recipe would yield other rows.
const VERSION: u32 = 1;

/// What makes the rows of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    version: u32,
    /// The split's own rows.
    pub(super) rows: Rows,
    /// How their values are scaled.
    pub(super) scale: Scale,
    /// The rows that a standardisation is fitted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fit: Option<Rows>,
}

/// Rows of a part of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rows {
    /// How the files are decoded.
    pub(super) reading: Reading,
    /// The files, by logical name, in the order they are decoded in.
    pub(super) files: Vec<(String, Digest)>,
    /// Which of their rows.
    pub(super) select: Vec<Step>,
    /// Height and width that pictures are brought to, where they are not those of the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<[usize; 2]>,
}

impl Recipe {
    /// The recipe of a split, the digests of the source's files given by logical name; none where there is no such split.
    ///
    /// # Errors
    /// [`DataError::Setting`] where a file's digest is not given.
    pub fn of(
        config: &DataConfig,
        split: SplitName,
        digests: &BTreeMap<String, Digest>,
    ) -> Result<Option<Self>, DataError> {
        let Some(rows) = rows(config, split, digests)? else {
            return Ok(None);
        };
        // Saying what `Auto` means makes equal recipes equal.
        let scale = config.resolved_scale();
        let fit = if scale == Scale::Standard { self::rows(config, SplitName::Train, digests)? } else { None };
        Ok(Some(Self { version: VERSION, rows, scale, fit }))
    }

    /// As text; equal recipes give equal texts.
    ///
    /// # Errors
    /// Never for recipes that [`Recipe::of`] made.
    pub fn to_json(&self) -> Result<String, DataError> {
        Ok(serde_json::to_string(self)?)
    }

    /// From text.
    ///
    /// # Errors
    /// [`DataError::Recipe`] where the text is none, or one of another version.
    pub fn from_json(text: &str) -> Result<Self, DataError> {
        let recipe: Self = serde_json::from_str(text)?;
        if recipe.version == VERSION {
            return Ok(recipe);
        }
        let message = format!("version {} where {VERSION} is known", recipe.version);
        Err(DataError::Recipe(serde::de::Error::custom(message)))
    }

    /// The digests of the files it reads.
    pub fn digests(&self) -> impl Iterator<Item = Digest> + '_ {
        std::iter::once(&self.rows).chain(&self.fit).flat_map(|rows| rows.files.iter().map(|(_, digest)| *digest))
    }
}

fn rows(config: &DataConfig, split: SplitName, digests: &BTreeMap<String, Digest>) -> Result<Option<Rows>, DataError> {
    let Some((part, select)) = config.selection(split) else {
        return Ok(None);
    };
    let Some(reading) = config.source.reading(part, config.test_path.is_some()) else {
        return Ok(None);
    };
    let files = file_names(config, part)
        .into_iter()
        .map(|name| {
            let digest = digests.get(name).copied().ok_or_else(|| {
                DataError::setting("path", format!("gives no file `{name}`"), "restore the file and run again")
            })?;
            Ok((name.to_owned(), digest))
        })
        .collect::<Result<_, DataError>>()?;
    Ok(Some(Rows { reading, files, select, size: config.resized() }))
}

/// The logical names of the files of a part, in the order they are decoded in.
fn file_names(config: &DataConfig, part: Part) -> Vec<&'static str> {
    if config.source.is_own_file() {
        return vec![if part == Part::Test && config.test_path.is_some() { "test-file" } else { "file" }];
    }
    config.source.file_names(part)
}

#[cfg(test)]
mod tests {
    use super::super::config::Holdout;
    use super::super::npz::Arrays;
    use super::super::select::Portion;
    use super::super::source::Source;
    use super::*;

    fn digests(changed: &str) -> BTreeMap<String, Digest> {
        ["digits", "train-images", "train-labels", "t10k-images", "t10k-labels", "file", "test-file", "boston"]
            .iter()
            .map(|name| (name.to_string(), Digest::of_bytes(format!("{name}{}", *name == changed).as_bytes())))
            .collect()
    }

    fn text(config: &DataConfig, split: SplitName, changed: &str) -> String {
        let recipe = Recipe::of(config, split, &digests(changed)).expect("complete").expect("there is one");
        let text = recipe.to_json().expect("plain data");
        assert_eq!(Recipe::from_json(&text).expect("round trip"), recipe);
        text
    }

    fn mnist() -> DataConfig {
        DataConfig { validation: Some(Portion::First(10_000)), ..DataConfig::new(Source::Mnist) }
    }

    #[test]
    fn a_training_recipe_does_not_change_with_test_files_or_test_options() {
        let before = text(&mnist(), SplitName::Train, "");
        assert_eq!(before, text(&mnist(), SplitName::Train, "t10k-images"));
        assert_ne!(before, text(&mnist(), SplitName::Train, "train-labels"));
        let mut shorter = mnist();
        shorter.limit.test = Some(1000);
        assert_eq!(before, text(&shorter, SplitName::Train, ""));
        assert_eq!(text(&mnist(), SplitName::Validation, ""), text(&shorter, SplitName::Validation, ""));
        assert_ne!(text(&mnist(), SplitName::Test, ""), text(&shorter, SplitName::Test, ""));
    }

    #[test]
    fn a_test_recipe_does_not_change_with_validation_unless_fitted_on_training_rows() {
        let plain = DataConfig::new(Source::Mnist);
        assert_eq!(text(&plain, SplitName::Test, ""), text(&mnist(), SplitName::Test, "train-images"));
        let standard = |config: DataConfig| DataConfig { scale: Scale::Standard, ..config };
        let (plain, validated) = (standard(plain), standard(mnist()));
        assert_ne!(text(&plain, SplitName::Test, ""), text(&validated, SplitName::Test, ""));
        assert_ne!(text(&plain, SplitName::Test, ""), text(&plain, SplitName::Test, "train-images"));
    }

    #[test]
    fn defaults_written_out_change_nothing() {
        let digits = DataConfig::new(Source::Digits);
        let mut written = digits.clone();
        written.scale = Scale::Unit;
        written.test = Holdout::Portion(Portion::Share { share: 0.2, seed: 0, stratified: true });
        for split in [SplitName::Train, SplitName::Test] {
            assert_eq!(text(&digits, split, ""), text(&written, split, ""));
        }
        let share = |stratified| Some(Portion::Share { share: 0.1, seed: 0, stratified });
        let boston = |stratified| DataConfig { validation: share(stratified), ..DataConfig::new(Source::Boston) };
        assert_eq!(text(&boston(true), SplitName::Train, ""), text(&boston(false), SplitName::Train, ""));
    }

    #[test]
    fn arrays_to_test_on_are_no_part_of_the_training_recipe() {
        let npz = |test| DataConfig::new(Source::Npz { train: Arrays::default(), test });
        let arrays = |x: &str| Some(Arrays { x: x.into(), ..Arrays::default() });
        let (one, other) = (npz(arrays("a")), npz(arrays("b")));
        assert_eq!(text(&one, SplitName::Train, ""), text(&other, SplitName::Train, ""));
        assert_ne!(text(&one, SplitName::Test, ""), text(&other, SplitName::Test, ""));
    }

    #[test]
    fn there_is_no_recipe_of_a_split_that_is_not() {
        let plain = DataConfig::new(Source::Mnist);
        assert_eq!(Recipe::of(&plain, SplitName::Validation, &digests("")).expect("complete"), None);
        Recipe::of(&plain, SplitName::Train, &BTreeMap::new()).expect_err("no digests");
    }

    #[test]
    fn texts_that_are_no_recipe_are_refused() {
        let good = text(&DataConfig::new(Source::Digits), SplitName::Train, "");
        for bad in
            ["", "{}", "null", &good.replace("\"version\":1", "\"version\":9"), &good.replace("select", "choose")]
        {
            Recipe::from_json(bad).expect_err("no recipe");
        }
    }
}
