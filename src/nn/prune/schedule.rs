//! How far weights are gone after each of several rounds.

/// How the number of weights falls from the first round to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// By the same factor each round: `start (goal / start)^t` (Tanaka et al. 2020, algorithm 1).
    #[default]
    Exponential,
    /// By the same number each round.
    Linear,
    /// Fast at first: `goal + (start - goal) (1 - t)^3` (Zhu and Gupta 2017, equation 1).
    Cubic,
}

impl Shape {
    /// What is left of `start` at time `t` in `[0, 1]` on the way to `goal`, rounded, halves to even.
    #[must_use]
    pub fn left(self, start: usize, goal: usize, t: f64) -> usize {
        if t >= 1.0 || goal >= start {
            return goal.min(start);
        }
        let (from, to) = (start as f64, goal as f64);
        let left = match self {
            // On the way to nothing at all the factor is that of the way to a single one.
            Self::Exponential => from * libm::pow(to.max(1.0) / from, t),
            Self::Linear => from - (from - to) * t,
            Self::Cubic => to + (from - to) * (1.0 - t) * (1.0 - t) * (1.0 - t),
        };
        (left.round_ties_even() as usize).clamp(goal, start)
    }
}

/// In how many rounds weights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// How many are left after each.
    pub shape: Shape,
    /// How many rounds there are; scores are computed anew in each.
    pub rounds: u64,
    /// The one round that is done, from 0, where whoever calls does something between the rounds: then what is left counts
    /// from all weights there are. `None` does all of them, from those that are kept so far.
    pub only: Option<u64>,
}

impl Default for Course {
    /// All at once.
    fn default() -> Self {
        Self { shape: Shape::default(), rounds: 1, only: None }
    }
}

impl Course {
    /// The times at which weights are scored and go, each in `[0, 1]`.
    pub(super) fn times(self) -> Vec<f64> {
        let rounds = self.rounds.max(1);
        let time = |round: u64| round.min(rounds) as f64 / rounds as f64;
        self.only.map_or_else(|| (1..=rounds).map(time).collect(), |round| vec![time(round)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_falls_from_the_start_to_the_goal_and_never_rises() {
        for shape in [Shape::Exponential, Shape::Linear, Shape::Cubic] {
            for (start, goal) in [(1000, 10), (1000, 0), (7, 7), (5, 4), (5, 9), (0, 0)] {
                let left: Vec<usize> = (0..=10).map(|k| shape.left(start, goal, f64::from(k) / 10.0)).collect();
                assert_eq!((left[0], left[10]), (start, goal.min(start)), "{shape:?}");
                assert!(left.windows(2).all(|pair| pair[1] <= pair[0]), "{shape:?} {left:?}");
            }
        }
    }

    #[test]
    fn shapes_pass_through_the_points_of_their_formulas() {
        assert_eq!([0.25, 0.5, 0.75].map(|t| Shape::Exponential.left(10_000, 1, t)), [1000, 100, 10]);
        assert_eq!([0.25, 0.5, 0.75].map(|t| Shape::Linear.left(1000, 200, t)), [800, 600, 400]);
        // s_t = s_f - s_f (1 - t)^3: a final sparsity of 80 % is at 70 % after half the time.
        assert_eq!([0.5, 0.9].map(|t| Shape::Cubic.left(1000, 200, t)), [300, 201]);
    }

    #[test]
    fn rounds_are_done_in_turn_or_one_alone() {
        let course = Course { rounds: 4, ..Course::default() };
        assert_eq!(course.times(), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(Course { only: Some(3), ..course }.times(), [0.75]);
        assert_eq!(Course { only: Some(9), ..course }.times(), [1.0]);
    }
}
