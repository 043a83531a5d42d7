//! What can be known to be wrong with the settings of a source before a byte of it is read.

use super::config::{DataConfig, Holdout};
use super::error::DataError;
use super::select::{Portion, Step};
use super::source::{Part, Source};

/// The most pixels that a side of a picture may be brought to.
const MAX_SIDE: usize = 4096;

impl DataConfig {
    /// Everything that is wrong with the settings as far as can be told without reading; each is a
    /// [`DataError::Setting`].
    #[must_use]
    pub fn check(&self) -> Vec<DataError> {
        let mut faults = Vec::new();
        self.check_paths(&mut faults);
        self.check_portions(&mut faults);
        for (key, limit) in [
            ("limit.train", self.limit.train),
            ("limit.validation", self.limit.validation),
            ("limit.test", self.limit.test),
        ] {
            if limit == Some(0) {
                faults.push(DataError::setting(key, "leaves no row", "write 1 or more, or leave it out"));
            }
        }
        self.check_size(&mut faults);
        faults.extend(self.scale.check(self.features(), self.source.holds_codes()));
        faults
    }

    fn check_size(&self, faults: &mut Vec<DataError>) {
        let size = self.source.pictures().map(|pictures| pictures.size).or(self.size);
        if size.is_some_and(|size| size.iter().any(|side| !(1..=MAX_SIDE).contains(side))) {
            let problem = format!("must be one or two numbers of pixels from 1 to {MAX_SIDE}");
            faults.push(DataError::setting("size", problem, "write, for example, `size = 32` or `size = [32, 64]`"));
        } else if self.size.is_some() && self.shape().is_none_or(|shape| shape.len() < 2) {
            let problem = format!("has no use: the rows of {} are no pictures", self.source.name());
            faults.push(DataError::setting("size", problem, "leave it out"));
        }
    }

    fn check_paths(&self, faults: &mut Vec<DataError>) {
        let name = self.source.name();
        if self.source.is_own_file() {
            if self.path.is_none() {
                faults.push(self.no_path());
            }
            if self.test_path.is_some() && matches!(self.source, Source::Npz { test: Some(_), .. }) {
                let problem = "is given beside `test_x` and `test_y`";
                faults.push(DataError::setting("test_path", problem, "keep either the second file or the arrays"));
            }
        } else if self.test_path.is_some() {
            let problem = format!("has no use: {name} is a published set");
            faults.push(DataError::setting("test_path", problem, "leave it out"));
        }
        if self.source == Source::Digits && self.path.is_some() {
            faults.push(DataError::setting("path", "has no use: digits are part of the program", "leave it out"));
        }
    }

    fn check_portions(&self, faults: &mut Vec<DataError>) {
        if self.has_test_part() && self.test != Holdout::Fifth {
            let problem = format!("has no use: {} has a test set of its own", self.source.name());
            faults.push(DataError::setting(
                "test",
                problem,
                "leave it out, or shorten the set by `limit = { test = n }`",
            ));
            return;
        }
        let mut rows = self.part_rows(Part::Train);
        for (key, portion) in [("test", self.held_back()), ("validation", self.validation.clone())] {
            let Some(portion) = portion else { continue };
            let sane = match &portion {
                Portion::First(count) | Portion::Last(count) => *count > 0,
                Portion::Share { share, .. } => *share > 0.0 && *share < 1.0,
            };
            let fits = rows.is_none_or(|rows| portion.count(rows).is_some());
            if !sane || !fits {
                let of = rows.map_or(String::new(), |rows| format!(" of {rows}"));
                let problem = format!("must take at least one row{of} and leave at least one");
                faults.push(DataError::setting(key, problem, "write, for example, `{ share = 0.1 }`"));
            }
            rows = rows.and_then(|rows| Step::Drop(portion).count(rows));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::Columns;
    use super::super::scale::Scale;
    use super::*;

    fn share(share: f64) -> Portion {
        Portion::Share { share, seed: 0, stratified: true }
    }

    #[test]
    fn settings_that_cannot_work_are_all_told_at_once() {
        let keys = |config: &DataConfig| {
            let faults = config.check();
            faults
                .iter()
                .map(|fault| if let DataError::Setting { key, .. } = fault { *key } else { "?" })
                .collect::<Vec<_>>()
        };
        assert!(keys(&DataConfig::new(Source::Digits)).is_empty());
        let mut mnist = DataConfig::new(Source::Mnist);
        mnist.test = Holdout::Portion(share(0.1));
        mnist.limit.test = Some(0);
        mnist.test_path = Some("t".into());
        assert_eq!(keys(&mnist), ["test_path", "test", "limit.test"]);
        let mut digits = DataConfig::new(Source::Digits);
        digits.path = Some("folder".into());
        digits.test = Holdout::Portion(Portion::First(1000));
        digits.validation = Some(Portion::Last(797));
        assert_eq!(keys(&digits), ["path", "validation"]);
        digits.validation = Some(share(1.5));
        assert_eq!(keys(&digits), ["path", "validation"]);
        assert_eq!(keys(&DataConfig::new(Source::Csv(Columns::default()))), ["path"]);
        let mut boston = DataConfig::new(Source::Boston);
        boston.scale = Scale::Unit;
        assert_eq!(keys(&boston), ["scale"]);
        boston.scale = Scale::Fixed { mean: vec![0.0; 2], std: vec![1.0; 2] };
        assert_eq!(keys(&boston), ["scale"]);
    }
}
