//! The published data sets have the statistics that are published of them. Skipped where the files are not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duress::data::{DataConfig, DataRoots, Portion, Recipe, Scale, Source, Split, SplitName, load};
use duress::nn::Examples;

/// The folder of real data, if this checkout has one.
fn data_folder() -> Option<PathBuf> {
    super::shared(&["data"]).map(|shared| shared.join("data"))
}

fn split(config: &DataConfig, folder: &Path, name: SplitName) -> Split {
    let roots = DataRoots { spec: folder.to_owned(), data: vec![folder.to_owned()] };
    let files = config.files(&roots).expect("all there");
    let digests: BTreeMap<_, _> =
        files.iter().map(|file| (file.name.clone(), file.bytes.digest(&file.name).expect("readable"))).collect();
    let recipe = Recipe::of(config, name, &digests).expect("complete").expect("there is one");
    load(&recipe, &|wanted| files.iter().find(|file| digests[&file.name] == *wanted).map(|file| file.bytes.clone()))
        .expect("intact")
}

/// Mean and standard deviation of `values`.
fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / n;
    let variance = values.map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

fn column(examples: &Examples, feature: usize) -> Vec<f32> {
    (0..examples.rows()).map(|row| examples.row(row)[feature]).collect()
}

fn check_images(source: Source, first_train: [u32; 5], first_test: [u32; 5], published: (f64, f64)) {
    let Some(folder) = data_folder() else { return };
    let config = DataConfig::new(source);
    let train = split(&config, &folder, SplitName::Train);
    let test = split(&config, &folder, SplitName::Test);
    assert_eq!((train.rows(), test.rows(), train.features(), train.classes()), (60_000, 10_000, 784, 10));
    assert_eq!(train.examples(0..5).labels, first_train);
    assert_eq!(test.examples(0..5).labels, first_test);
    let all = train.all();
    let (mean, std) = moments(all.x.iter().copied());
    assert!((mean - published.0).abs() < 5e-6 && (std - published.1).abs() < 5e-6, "{mean} {std}");
}

#[test]
fn mnist_has_the_published_labels_and_moments() {
    check_images(Source::Mnist, [5, 0, 4, 1, 9], [7, 2, 1, 0, 4], (0.13066, 0.30811));
}

#[test]
fn fashion_mnist_has_the_published_labels_and_moments() {
    check_images(Source::FashionMnist, [9, 0, 0, 3, 0], [9, 2, 1, 1, 6], (0.28604, 0.35302));
}

#[test]
fn the_first_ten_thousand_of_mnist_validate_and_the_others_train() {
    let Some(folder) = data_folder() else { return };
    let config = DataConfig { validation: Some(Portion::First(10_000)), ..DataConfig::new(Source::Mnist) };
    let whole = split(&DataConfig::new(Source::Mnist), &folder, SplitName::Train);
    let train = split(&config, &folder, SplitName::Train);
    let validation = split(&config, &folder, SplitName::Validation);
    assert_eq!((train.rows(), validation.rows()), (50_000, 10_000));
    assert_eq!(validation.examples(0..50), whole.examples(0..50));
    assert_eq!(train.examples(0..50), whole.examples(10_000..10_050));
}

#[test]
fn boston_has_the_published_statistics() {
    let Some(folder) = data_folder() else { return };
    let config = DataConfig { test: duress::data::Holdout::Nothing, ..DataConfig::new(Source::Boston) };
    let all = split(&config, &folder, SplitName::Train).all();
    assert_eq!((all.rows(), all.features, all.classes, all.target_width()), (506, 13, 0, 1));
    let targets = all.targets.as_ref().expect("regression");
    let (mean, _) = moments(targets.iter().copied());
    assert!((mean - 22.5328).abs() < 5e-5, "{mean}");
    let range = targets.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    assert_eq!(range, (5.0, 50.0));
    let (crim, _) = moments(column(&all, 0).into_iter());
    assert!((crim - 3.6135).abs() < 5e-5, "{crim}");
}

#[test]
fn boston_is_standardised_by_its_training_rows_alone() {
    let Some(folder) = data_folder() else { return };
    let config = DataConfig { scale: Scale::Standard, ..DataConfig::new(Source::Boston) };
    let train = split(&config, &folder, SplitName::Train).all();
    let test = split(&config, &folder, SplitName::Test).all();
    assert_eq!((train.rows(), test.rows()), (405, 101));
    for feature in 0..13 {
        let (mean, std) = moments(column(&train, feature).into_iter());
        assert!(mean.abs() < 1e-5 && (std - 1.0).abs() < 1e-5, "feature {feature}: {mean} {std}");
        let (mean, _) = moments(column(&test, feature).into_iter());
        assert!(mean.abs() > 1e-5, "feature {feature} of the test rows was fitted");
    }
}
