//! The sources there are, which files each consists of, and how those are decoded.

use std::path::PathBuf;

use duress_cache::{ContentHash as _, Digest};
use serde::{Deserialize, Serialize};

use super::cifar::Cifar;
use super::columns::Columns;
use super::decoded::Decoded;
use super::error::DataError;
use super::facts::{Description, SOURCES};
use super::find::Wanted;
use super::npz::Arrays;
use super::pictures::{self, Bundle, Label, Pictures};
use super::{boston, csv, digits, gtsrb, mnist, npz, parquet};

/// Where data come from, with what must be said to read them.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// 1 797 digits of 8 x 8 pixels, part of the program.
    Digits,
    /// Four IDX files of digits.
    Mnist,
    /// Four IDX files of clothes.
    FashionMnist,
    /// Photographs of 10 or 100 classes in binary files.
    Cifar(Cifar),
    /// Photographs of traffic signs in folders.
    Gtsrb(Pictures),
    /// A table of house prices.
    Boston,
    /// Pictures of one's own, a folder for each class.
    Folder(Pictures),
    /// A `NumPy` archive.
    Npz {
        /// The arrays to train on.
        train: Arrays,
        /// The arrays to test on, in the same archive.
        test: Option<Arrays>,
    },
    /// A Parquet file.
    Parquet(Columns),
    /// A CSV file with a header line.
    Csv(Columns),
}

/// The two parts that sources are published in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What is meant to be trained on; the only part of many sources.
    Train,
    /// What is meant to be tested on.
    Test,
}

/// How a part's files are decoded: all that, with their bytes, determines the outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// The embedded digits.
    Digits,
    /// IDX images and labels of the published size.
    Mnist(Part),
    /// The same for Fashion-MNIST.
    FashionMnist(Part),
    /// Binary records of photographs.
    Cifar(Cifar, Part),
    /// Photographs of traffic signs.
    Gtsrb(Part, Pictures),
    /// The Boston table.
    Boston,
    /// Pictures in folders.
    Folder(Pictures),
    /// Arrays of a `NumPy` archive.
    Npz(Arrays),
    /// Columns of a Parquet file.
    Parquet(Columns),
    /// Columns of a CSV file.
    Csv(Columns),
}

/// A file that a source consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its logical name, the same on every machine, such as `train-images`.
    pub name: String,
    /// Where its bytes are.
    pub bytes: SourceBytes,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceBytes {
    /// In a file.
    File(PathBuf),
    /// In many files that are one source, each with its name within it.
    Files(Bundle),
    /// In the program itself.
    Embedded(&'static [u8]),
}

impl Source {
    /// The published set of that name, which needs nothing more to be said.
    #[must_use]
    pub fn published(name: &str) -> Option<Self> {
        let gtsrb = Self::Gtsrb(Pictures { size: [32, 32], grey: false, classes: None });
        let cifar = [Self::Cifar(Cifar::Ten), Self::Cifar(Cifar::Hundred)];
        let all = [Self::Digits, Self::Mnist, Self::FashionMnist, Self::Boston, gtsrb].into_iter().chain(cifar);
        all.into_iter().find(|source| source.name() == name)
    }

    /// Whether rows hold codes of a known greatest; none where the file tells.
    pub(super) fn holds_codes(&self) -> Option<bool> {
        match self {
            Self::Npz { .. } => None,
            Self::Boston | Self::Parquet(_) | Self::Csv(_) => Some(false),
            _ => Some(true),
        }
    }

    /// How pictures of many sizes become rows, where the source holds such.
    #[must_use]
    pub fn pictures(&self) -> Option<&Pictures> {
        match self {
            Self::Gtsrb(pictures) | Self::Folder(pictures) => Some(pictures),
            _ => None,
        }
    }

    /// The name after `source =`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar(Cifar::Ten) => "cifar-10",
            Self::Cifar(Cifar::Hundred) => "cifar-100",
            Self::Gtsrb(_) => "gtsrb",
            Self::Boston => "boston",
            Self::Folder(_) => "folder",
            Self::Npz { .. } => "npz",
            Self::Parquet(_) => "parquet",
            Self::Csv(_) => "csv",
        }
    }

    /// What is known of it.
    ///
    /// # Panics
    /// Never: every source is described, which a test makes sure of.
    #[must_use]
    pub fn description(&self) -> &'static Description {
        SOURCES.iter().find(|d| d.name == self.name()).expect("every source is described")
    }

    /// Whether files of the user's are read, which `path` must name, rather than a published set.
    #[must_use]
    pub fn is_own_file(&self) -> bool {
        matches!(self, Self::Folder(_) | Self::Npz { .. } | Self::Parquet(_) | Self::Csv(_))
    }

    /// How `part` is decoded; none where the source has no such part. `test_file` says that a file of its own holds the
    /// test part.
    pub(super) fn reading(&self, part: Part, test_file: bool) -> Option<Reading> {
        let has_part = part == Part::Train || test_file;
        Some(match self {
            Self::Digits if part == Part::Train => Reading::Digits,
            Self::Boston if part == Part::Train => Reading::Boston,
            Self::Digits | Self::Boston => return None,
            Self::Mnist => Reading::Mnist(part),
            Self::FashionMnist => Reading::FashionMnist(part),
            Self::Cifar(which) => Reading::Cifar(*which, part),
            Self::Gtsrb(pictures) => Reading::Gtsrb(part, pictures.clone()),
            Self::Folder(pictures) => has_part.then(|| Reading::Folder(pictures.clone()))?,
            Self::Npz { test: Some(arrays), .. } if part == Part::Test => Reading::Npz(arrays.clone()),
            Self::Npz { train, .. } => has_part.then(|| Reading::Npz(train.clone()))?,
            Self::Parquet(columns) => has_part.then(|| Reading::Parquet(columns.clone()))?,
            Self::Csv(columns) => has_part.then(|| Reading::Csv(columns.clone()))?,
        })
    }

    pub(super) fn wanted(&self, part: Part) -> Vec<Wanted> {
        match self {
            Self::Digits => vec![Wanted { name: "digits", candidates: Vec::new(), embedded: Some(digits::BYTES) }],
            Self::Mnist | Self::FashionMnist => mnist::wanted(part),
            Self::Cifar(which) => which.wanted(part),
            Self::Boston => boston::wanted(),
            Self::Gtsrb(_) | Self::Folder(_) | Self::Npz { .. } | Self::Parquet(_) | Self::Csv(_) => Vec::new(),
        }
    }

    /// The logical names of the files of a part of a published set, in the order they are decoded in.
    pub(super) fn file_names(&self, part: Part) -> Vec<&'static str> {
        match self {
            Self::Gtsrb(_) => vec![gtsrb::name(part)],
            _ => self.wanted(part).iter().map(|wanted| wanted.name).collect(),
        }
    }
}

impl SourceBytes {
    /// Reads the bytes, which must have `digest`.
    pub(super) fn read(&self, file: &str, digest: &Digest) -> Result<Vec<u8>, DataError> {
        let bytes = match self {
            Self::File(path) => std::fs::read(path).map_err(|cause| DataError::unreadable(file, path, cause))?,
            Self::Embedded(bytes) => bytes.to_vec(),
            Self::Files(_) => {
                let problem = "it is a folder where a file is expected";
                return Err(DataError::malformed_with(file, problem, "run the data section again"));
            }
        };
        let found = Digest::of_bytes(&bytes);
        if found == *digest {
            return Ok(bytes);
        }
        Err(DataError::Changed { file: file.to_owned(), expected: *digest, found })
    }

    /// The digest of the bytes, read in a stream.
    ///
    /// # Errors
    /// [`DataError::Unreadable`].
    pub fn digest(&self, file: &str) -> Result<Digest, DataError> {
        match self {
            Self::Embedded(bytes) => Ok(Digest::of_bytes(bytes)),
            Self::Files(files) => {
                let hash =
                    |(name, path): &(String, PathBuf)| Ok((name.clone(), Self::File(path.clone()).digest(name)?));
                Ok(files.iter().map(hash).collect::<Result<Vec<_>, DataError>>()?.digest())
            }
            Self::File(path) => std::fs::File::open(path)
                .and_then(Digest::of_reader)
                .map(|(digest, _)| digest)
                .map_err(|cause| DataError::unreadable(file, path, cause)),
        }
    }
}

impl Reading {
    /// How pictures in many files are decoded and labelled; none for sources of other kinds.
    pub(super) fn pictures(&self) -> Option<(&Pictures, &Label)> {
        match self {
            Self::Folder(pictures) => Some((pictures, &pictures::by_folder)),
            Self::Gtsrb(Part::Train, pictures) => Some((pictures, &gtsrb::train_labels)),
            Self::Gtsrb(Part::Test, pictures) => Some((pictures, &gtsrb::test_labels)),
            _ => None,
        }
    }

    /// Decodes the files, each with its logical name.
    pub(super) fn decode(&self, files: &[(String, Vec<u8>)]) -> Result<Decoded, DataError> {
        let first = || {
            files
                .first()
                .map(|(name, raw)| (name.as_str(), raw.as_slice()))
                .ok_or_else(|| DataError::malformed_with("recipe", "it names no files", "run the data section again"))
        };
        match self {
            Self::Mnist(part) | Self::FashionMnist(part) => mnist::decode(*part, files),
            Self::Cifar(which, part) => which.decode(*part, files),
            Self::Gtsrb(..) | Self::Folder(_) => {
                Err(DataError::malformed_with("recipe", "it takes pictures for one file", "run the data section again"))
            }
            Self::Digits => first().and_then(|(name, raw)| digits::decode(name, raw)),
            Self::Boston => first().and_then(|(name, raw)| boston::decode(name, raw)),
            Self::Npz(arrays) => first().and_then(|(name, raw)| npz::decode(name, raw, arrays)),
            Self::Parquet(columns) => first().and_then(|(name, raw)| parquet::decode(name, raw, columns)),
            Self::Csv(columns) => first().and_then(|(name, raw)| csv::decode(name, raw, columns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_named_with_both_digests() {
        let expected = Digest::of_bytes(b"before");
        let error = SourceBytes::Embedded(b"after").read("train-labels", &expected).expect_err("changed");
        assert!(matches!(&error, DataError::Changed { file, .. } if file == "train-labels"), "{error}");
        assert!(error.to_string().contains(&expected.short()), "{error}");
    }

    #[test]
    fn every_source_is_described() {
        let own = ["folder", "npz", "parquet", "csv"];
        for description in SOURCES.iter().filter(|description| !own.contains(&description.name)) {
            let source = Source::published(description.name).expect("published");
            assert_eq!(source.description(), description);
            assert!(!source.is_own_file());
        }
        let own = Source::Csv(Columns::default());
        assert!(own.is_own_file() && own.description().name == "csv");
    }
}
