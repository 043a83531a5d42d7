//! The sets that can be downloaded: where from, and what their files must be.
//!
//! SHA-256 digests of MNIST and Fashion-MNIST are those of the uncompressed files. The MD5 digests of CIFAR's archives stand on
//! the publishers' page (<https://www.cs.toronto.edu/~kriz/cifar.html>), those of GTSRB's are the ones that other loaders of
//! the set (torchvision for the test pictures and their classes) hold the same host to.

use super::archive::{Content, Member, RemoteArchive};
use super::{RemoteFile, RemoteSet};
use crate::data::cifar::PIXELS;

/// Binary records of CIFAR: so many, after so many bytes of labels, of which the last is the class.
const fn records(path: &str, rows: usize, labels: usize, classes: u8) -> Member<'_> {
    Member { path, count: 1, content: Content::Records { rows, bytes: labels + PIXELS, label: labels - 1, classes } }
}

/// The sets that can be downloaded.
pub const SETS: [RemoteSet<'static>; 5] = [
    RemoteSet {
        name: "mnist",
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ],
        files: &[
            RemoteFile {
                name: "train-images-idx3-ubyte.gz",
                bytes: 9_912_422,
                content_bytes: 47_040_016,
                content_sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            },
            RemoteFile {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 28_881,
                content_bytes: 60_008,
                content_sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            },
            RemoteFile {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 1_648_877,
                content_bytes: 7_840_016,
                content_sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            },
            RemoteFile {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 4_542,
                content_bytes: 10_008,
                content_sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ],
        archives: &[],
    },
    RemoteSet {
        name: "fashion-mnist",
        mirrors: &[
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        files: &[
            RemoteFile {
                name: "train-images-idx3-ubyte.gz",
                bytes: 26_421_880,
                content_bytes: 47_040_016,
                content_sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            },
            RemoteFile {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 29_515,
                content_bytes: 60_008,
                content_sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            },
            RemoteFile {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 4_422_102,
                content_bytes: 7_840_016,
                content_sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            },
            RemoteFile {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 5_148,
                content_bytes: 10_008,
                content_sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        ],
        archives: &[],
    },
    RemoteSet {
        name: "cifar-10",
        mirrors: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[],
        archives: &[RemoteArchive {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
            root: "cifar-10-batches-bin",
            members: &[
                records("cifar-10-batches-bin/data_batch_1.bin", 10_000, 1, 10),
                records("cifar-10-batches-bin/data_batch_2.bin", 10_000, 1, 10),
                records("cifar-10-batches-bin/data_batch_3.bin", 10_000, 1, 10),
                records("cifar-10-batches-bin/data_batch_4.bin", 10_000, 1, 10),
                records("cifar-10-batches-bin/data_batch_5.bin", 10_000, 1, 10),
                records("cifar-10-batches-bin/test_batch.bin", 10_000, 1, 10),
            ],
        }],
    },
    RemoteSet {
        name: "cifar-100",
        mirrors: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[],
        archives: &[RemoteArchive {
            name: "cifar-100-binary.tar.gz",
            bytes: 168_513_733,
            md5: "03b5dce01913d631647c71ecec9e9cb8",
            root: "cifar-100-binary",
            members: &[
                records("cifar-100-binary/train.bin", 50_000, 2, 100),
                records("cifar-100-binary/test.bin", 10_000, 2, 100),
            ],
        }],
    },
    RemoteSet {
        name: "gtsrb",
        mirrors: &["https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"],
        files: &[],
        archives: &[
            RemoteArchive {
                name: "GTSRB_Final_Training_Images.zip",
                bytes: 276_294_756,
                md5: "f33fd80ac59bff73c82d25ab499e03a3",
                root: "GTSRB/Final_Training",
                members: &[Member {
                    path: "GTSRB/Final_Training/Images/*/*.ppm",
                    count: 39_209,
                    content: Content::Picture { classes: Some(43) },
                }],
            },
            RemoteArchive {
                name: "GTSRB_Final_Test_Images.zip",
                bytes: 88_978_620,
                md5: "c7e4e6327067d32654124b0fe9e82185",
                root: "GTSRB/Final_Test",
                members: &[Member {
                    path: "GTSRB/Final_Test/Images/*.ppm",
                    count: 12_630,
                    content: Content::Picture { classes: None },
                }],
            },
            RemoteArchive {
                name: "GTSRB_Final_Test_GT.zip",
                bytes: 99_620,
                md5: "fe31e9c9270bbcd7b84b7f21a9d9d9e5",
                root: "GT-final_test.csv",
                members: &[Member {
                    path: "GT-final_test.csv",
                    count: 1,
                    content: Content::SignTable { rows: 12_630 },
                }],
            },
        ],
    },
];

/// The set called `name`.
#[must_use]
pub fn set(name: &str) -> Option<&'static RemoteSet<'static>> {
    SETS.iter().find(|set| set.name == name)
}
