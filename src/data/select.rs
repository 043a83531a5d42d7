//! Which rows of a part belong to a split.
//!
//! A selection is a list of steps over the part's rows; rows keep the order of the file. Shares are drawn class by class:
//! each class gives its share, rounded by largest remainders so that the whole is exactly the rounded share of all rows.
//! What a draw yields depends on its seed, its place in the list, and the labels; nothing else.

use serde::{Deserialize, Serialize};

use super::decoded::Answers;
use super::error::DataError;
use crate::nn::Stream;

/// A portion of some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Portion {
    /// The first rows.
    First(usize),
    /// The last rows.
    Last(usize),
    /// Rows drawn at random without replacement.
    Share {
        /// How many of them, above 0 and below 1.
        share: f64,
        /// What the draw starts from.
        seed: u64,
        /// Whether each class gives the same share; without effect on regression.
        stratified: bool,
    },
}

/// One step of a selection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Goes on with this portion only.
    Keep(Portion),
    /// Goes on without this portion.
    Drop(Portion),
    /// Goes on with the first rows, or with all where there are fewer.
    Limit(usize),
}

impl Portion {
    /// How many of `rows` rows it takes; none unless it takes at least one and leaves at least one.
    #[must_use]
    pub fn count(&self, rows: usize) -> Option<usize> {
        let count = match self {
            Self::First(count) | Self::Last(count) => *count,
            Self::Share { share, .. } => (share * rows as f64).round() as usize,
        };
        (1..rows).contains(&count).then_some(count)
    }
}

impl Step {
    /// How many of `rows` rows it leaves; none where its portion does not fit.
    #[must_use]
    pub fn count(&self, rows: usize) -> Option<usize> {
        match self {
            Self::Keep(portion) => portion.count(rows),
            Self::Drop(portion) => portion.count(rows).map(|count| rows - count),
            Self::Limit(limit) => Some(rows.min(*limit)),
        }
    }
}

/// The rows that `steps` leave of all rows with these `answers`, ascending.
///
/// # Errors
/// [`DataError::Setting`] where a portion takes no row or leaves none.
pub(super) fn rows(steps: &[Step], answers: &Answers) -> Result<Vec<u32>, DataError> {
    let mut rows: Vec<u32> = (0..answers.rows() as u32).collect();
    for (index, step) in steps.iter().enumerate() {
        rows = match step {
            Step::Keep(portion) => part(&rows, portion, answers, index)?.0,
            Step::Drop(portion) => part(&rows, portion, answers, index)?.1,
            Step::Limit(limit) => {
                rows.truncate(*limit);
                rows
            }
        };
    }
    Ok(rows)
}

/// Parts `rows` into the portion and the others.
fn part(rows: &[u32], portion: &Portion, answers: &Answers, index: usize) -> Result<(Vec<u32>, Vec<u32>), DataError> {
    let count = portion.count(rows.len()).ok_or_else(|| {
        let problem = format!("asks for {portion:?} of {} rows", rows.len());
        DataError::setting("validation` or `test", problem, "leave at least one row on either side")
    })?;
    Ok(match portion {
        Portion::First(_) => (rows[..count].to_vec(), rows[count..].to_vec()),
        Portion::Last(_) => (rows[rows.len() - count..].to_vec(), rows[..rows.len() - count].to_vec()),
        Portion::Share { share, seed, stratified } => {
            let mut taken = vec![false; rows.len()];
            for (class, (members, quota)) in strata(rows, answers, *stratified, *share, count).iter().enumerate() {
                let order = Stream::new(*seed, "data-share", &[index as u64, class as u64]).permutation(members.len());
                for &member in &order[..*quota] {
                    taken[members[member]] = true;
                }
            }
            let pick = |wanted: bool| rows.iter().zip(&taken).filter(|&(_, &t)| t == wanted).map(|(&r, _)| r).collect();
            (pick(true), pick(false))
        }
    })
}

/// The positions in `rows` of each class, and how many of them to take, `count` in all.
fn strata(rows: &[u32], answers: &Answers, stratified: bool, share: f64, count: usize) -> Vec<(Vec<usize>, usize)> {
    let (labels, classes) = match answers {
        Answers::Classes { labels, classes } if stratified => (labels, *classes),
        _ => return vec![((0..rows.len()).collect(), count)],
    };
    let mut strata = vec![(Vec::new(), 0); classes];
    for (position, &row) in rows.iter().enumerate() {
        strata[labels[row as usize] as usize].0.push(position);
    }
    let mut remainders: Vec<(f64, usize)> = Vec::with_capacity(classes);
    let mut given = 0;
    for (class, (members, quota)) in strata.iter_mut().enumerate() {
        let exact = share * members.len() as f64;
        *quota = (exact.floor() as usize).min(members.len());
        given += *quota;
        remainders.push((exact - exact.floor(), class));
    }
    // Ties go to the lower class. A second round is never needed: remainders sum to less than one a class.
    remainders.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, class) in remainders {
        let (members, quota) = &mut strata[class];
        if given < count && *quota < members.len() {
            *quota += 1;
            given += 1;
        }
    }
    strata
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(of: impl Iterator<Item = u32>) -> Answers {
        let labels: Vec<u32> = of.collect();
        let classes = labels.iter().max().map_or(0, |&max| max as usize + 1);
        Answers::Classes { labels, classes }
    }

    fn share(share: f64, seed: u64) -> Portion {
        Portion::Share { share, seed, stratified: true }
    }

    #[test]
    fn keeping_and_dropping_a_portion_part_the_rows_in_file_order() {
        let answers = labels((0..1000).map(|i| (i * i) % 7));
        for portion in [Portion::First(10), Portion::Last(990), share(0.25, 3), share(0.001, 0)] {
            let kept = rows(&[Step::Keep(portion.clone())], &answers).expect("fits");
            let dropped = rows(&[Step::Drop(portion.clone())], &answers).expect("fits");
            assert_eq!(kept.len(), portion.count(1000).expect("fits"), "{portion:?}");
            assert!(kept.is_sorted() && dropped.is_sorted());
            let mut all = [kept, dropped].concat();
            all.sort_unstable();
            assert!(all.iter().copied().eq(0..1000), "{portion:?}");
        }
    }

    #[test]
    fn every_class_gives_its_share_to_within_one_row() {
        let answers = labels((0..997).map(|i| u32::from(i % 3 == 0) + u32::from(i % 31 == 0)));
        let kept = rows(&[Step::Keep(share(0.2, 1))], &answers).expect("fits");
        assert_eq!(kept.len(), 199);
        let Answers::Classes { labels, classes } = &answers else { unreachable!() };
        for class in 0..*classes as u32 {
            let of = |rows: &mut dyn Iterator<Item = u32>| rows.filter(|&r| labels[r as usize] == class).count() as f64;
            let (all, some) = (of(&mut (0..997)), of(&mut kept.iter().copied()));
            assert!((some - 0.2 * all).abs() < 1.0, "class {class}: {some} of {all}");
        }
    }

    #[test]
    fn a_draw_depends_on_its_seed_and_place_alone() {
        let answers = labels((0..500).map(|i| i % 5));
        let draw = |steps: &[Step]| rows(steps, &answers).expect("fits");
        let first = draw(&[Step::Keep(share(0.3, 0))]);
        assert_eq!(first, draw(&[Step::Keep(share(0.3, 0))]));
        assert_ne!(first, draw(&[Step::Keep(share(0.3, 1))]));
        let plain = Portion::Share { share: 0.3, seed: 0, stratified: false };
        assert_eq!(draw(&[Step::Keep(plain)]).len(), first.len());
    }

    #[test]
    fn steps_count_what_they_leave_without_seeing_rows() {
        let steps = [Step::Drop(share(0.2, 0)), Step::Drop(Portion::First(100)), Step::Limit(1000)];
        let answers = labels((0..1797).map(|i| i % 10));
        let counted = steps.iter().try_fold(1797, |rows, step| step.count(rows));
        assert_eq!(counted, Some(1000));
        assert_eq!(rows(&steps, &answers).expect("fits").len(), 1000);
        assert_eq!(rows(&steps[..2], &answers).expect("fits").len(), 1797 - 359 - 100);
    }

    #[test]
    fn a_portion_that_takes_everything_or_nothing_is_refused() {
        let answers = labels((0..10).map(|i| i % 2));
        for portion in [Portion::First(0), Portion::First(10), Portion::Last(11), share(0.01, 0), share(0.99, 0)] {
            let error = rows(&[Step::Drop(portion)], &answers).expect_err("does not fit");
            assert!(error.to_string().contains("of 10 rows"), "{error}");
        }
    }
}
