//! `cifar-10` and `cifar-100`: 32 x 32 pixels in three colours, in the binary layout of the publishers.
//!
//! A. Krizhevsky, *Learning multiple layers of features from tiny images*, 2009. A record is one label byte (`cifar-100`:
//! a coarse and a fine one) and 3 072 bytes of pixels, the red plane first, rows from top to bottom. Files may be
//! compressed by gzip or Zstandard.

use serde::{Deserialize, Serialize};

use super::decoded::{Answers, Decoded, Values};
use super::error::DataError;
use super::facts::{Description, Facts, Moments, Task};
use super::find::Wanted;
use super::inflate;
use super::source::Part;

/// Bytes of a picture: three planes.
pub(super) const PIXELS: usize = 3 * 32 * 32;
/// Rows to train on.
const TRAIN_ROWS: usize = 50_000;
/// Rows to test on.
const TEST_ROWS: usize = 10_000;

/// Which of the two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cifar {
    /// Ten classes.
    Ten,
    /// A hundred classes.
    Hundred,
}

const fn facts(classes: usize, class_names: &'static [&'static str], moments: Moments) -> Facts {
    Facts {
        task: Task::Classification,
        shape: Some(&[3, 32, 32]),
        classes: Some(classes),
        train_rows: Some(TRAIN_ROWS),
        test_rows: Some(TEST_ROWS),
        class_names,
        moments: Some(moments),
    }
}

/// What is known of `cifar-10`.
pub(super) const TEN: Description = Description {
    name: "cifar-10",
    summary: "Photographs of ten classes, 32 x 32 pixels in colour",
    facts: facts(10, &NAMES, Moments { mean: &[0.4914, 0.4822, 0.4465], std: &[0.2023, 0.1994, 0.2010] }),
    origin: "https://www.cs.toronto.edu/~kriz/cifar.html",
    licence: "no licence stated; cite Krizhevsky 2009",
};

/// What is known of `cifar-100`.
pub(super) const HUNDRED: Description = Description {
    name: "cifar-100",
    summary: "Photographs of a hundred classes, 32 x 32 pixels in colour",
    facts: facts(
        100,
        &FINE_NAMES,
        Moments {
            mean: &[0.507_075_159_237_132_3, 0.486_548_873_314_950_95, 0.440_917_843_367_034_3],
            std: &[0.267_334_285_879_240_1, 0.256_438_462_917_088_3, 0.276_150_471_325_684_04],
        },
    ),
    origin: "https://www.cs.toronto.edu/~kriz/cifar.html",
    licence: "no licence stated; cite Krizhevsky 2009",
};

const NAMES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

#[rustfmt::skip]
const FINE_NAMES: [&str; 100] = [
    "apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn mower", "leopard", "lion", "lizard", "lobster", "man", "maple tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak tree", "orange", "orchid", "otter", "palm tree", "pear", "pickup truck", "pine tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow tree", "wolf", "woman", "worm",
];

impl Cifar {
    /// The files of a part, in the order of their rows.
    pub(super) fn wanted(self, part: Part) -> Vec<Wanted> {
        let names: &[&'static str] = match (self, part) {
            (Self::Ten, Part::Train) => {
                &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
            }
            (Self::Ten, Part::Test) => &["test_batch"],
            (Self::Hundred, Part::Train) => &["train"],
            (Self::Hundred, Part::Test) => &["test"],
        };
        let candidates = |name: &str| ["", ".gz", ".zst"].map(|end| format!("{name}.bin{end}")).to_vec();
        names.iter().map(|name| Wanted { name, candidates: candidates(name), embedded: None }).collect()
    }

    /// The folder that the publishers' archive unpacks to.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Ten => "cifar-10-batches-bin",
            Self::Hundred => "cifar-100-binary",
        }
    }

    const fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    /// Label bytes of a record; the last is the class.
    const fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    /// Decodes a part, which must have exactly the published number of records.
    pub(super) fn decode(self, part: Part, files: &[(String, Vec<u8>)]) -> Result<Decoded, DataError> {
        let rows = match part {
            Part::Train => TRAIN_ROWS,
            Part::Test => TEST_ROWS,
        };
        self.decode_rows(rows / files.len().max(1), files)
    }

    /// Decodes files of `rows` records each.
    fn decode_rows(self, rows: usize, files: &[(String, Vec<u8>)]) -> Result<Decoded, DataError> {
        let record = self.label_bytes() + PIXELS;
        let mut codes = Vec::with_capacity(files.len() * rows * PIXELS);
        let mut labels = Vec::with_capacity(files.len() * rows);
        for (name, raw) in files {
            let content = inflate::plain(raw, rows * record)
                .map_err(|cause| DataError::malformed(name, format!("it does not decompress: {cause}")))?;
            if content.len() != rows * record {
                let problem =
                    format!("it holds {} bytes where the published file has {rows} records of {record}", content.len());
                let fix = "look whether it is the binary version of this very set";
                return Err(DataError::malformed_with(name, problem, fix));
            }
            for record in content.chunks_exact(record) {
                labels.push(u32::from(record[self.label_bytes() - 1]));
                codes.extend(&record[self.label_bytes()..]);
            }
        }
        let name = files.last().map_or("records", |(name, _)| name);
        let answers = Answers::Classes { labels, classes: self.classes() };
        Decoded::new(name, vec![3, 32, 32], Values::Codes { codes, max: u8::MAX }, answers)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::idx::tests::gzip;
    use super::*;

    fn records(labels: &[&[u8]]) -> Vec<u8> {
        labels.iter().enumerate().flat_map(|(i, label)| [label, &vec![i as u8; PIXELS][..]].concat()).collect()
    }

    fn file(raw: Vec<u8>) -> (String, Vec<u8>) {
        ("data_batch_1".to_owned(), raw)
    }

    #[test]
    fn records_are_read_from_plain_gzip_and_zstandard_files_alike() {
        let raw = records(&[&[3], &[9]]);
        let packed = zstd::encode_all(&raw[..], 1).expect("packed");
        let files = [file(raw.clone()), file(gzip(&raw)), file(packed)];
        let data = Cifar::Ten.decode_rows(2, &files).expect("fits");
        assert_eq!((data.rows(), &data.shape[..]), (6, &[3, 32, 32][..]));
        assert_eq!(data.answers, Answers::Classes { labels: vec![3, 9, 3, 9, 3, 9], classes: 10 });
        let Values::Codes { codes, .. } = data.values else { panic!("codes") };
        assert_eq!((codes[0], codes[PIXELS], codes[4 * PIXELS]), (0, 1, 0));
    }

    #[test]
    fn the_fine_label_is_the_class_of_cifar_100() {
        let data = Cifar::Hundred.decode_rows(2, &[file(records(&[&[1, 77], &[19, 4]]))]).expect("fits");
        assert_eq!(data.answers, Answers::Classes { labels: vec![77, 4], classes: 100 });
    }

    #[test]
    fn files_of_another_length_or_with_other_labels_are_refused() {
        let raw = records(&[&[3], &[9]]);
        for bad in
            [raw[..raw.len() - 1].to_vec(), records(&[&[3]]), records(&[&[3], &[3], &[3]]), records(&[&[3], &[10]])]
        {
            let error = Cifar::Ten.decode_rows(2, &[file(bad)]).expect_err("refused").to_string();
            assert!(error.contains("`data_batch_1`"), "{error}");
        }
    }

    #[test]
    fn the_published_pictures_have_their_means_and_a_thousand_of_each_class() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/cifar-10/test_batch.bin.zst");
        if !Path::new(path).exists() {
            println!("skipped: cifar-10 is not beside the repository");
            return;
        }
        let data = Cifar::Ten.decode(Part::Test, &[file(std::fs::read(path).expect("readable"))]).expect("decodes");
        let Answers::Classes { labels, .. } = &data.answers else { panic!("classes") };
        assert!((0..10).all(|class| labels.iter().filter(|&&label| label == class).count() == 1000));
        let Values::Codes { codes, .. } = &data.values else { panic!("codes") };
        let plane =
            |p: usize| codes.chunks_exact(1024).skip(p).step_by(3).flatten().map(|&c| u64::from(c)).sum::<u64>();
        let means = [0, 1, 2].map(|p| plane(p) as f64 / 255.0 / 10_240_000.0);
        for (mean, published) in means.iter().zip([0.4942, 0.4851, 0.4504]) {
            assert!((mean - published).abs() < 5e-4, "{means:?}");
        }
    }
}
