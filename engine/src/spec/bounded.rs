//! Numbers that know their bounds, so that a kind need not check them and the documentation states them.

use duress_cache::Tree;

use super::from_spec::{FromSpec, Scope};
use super::scalar::{integer, number, out_of_range};
use super::schema::Schema;
use super::value::Node;

/// A whole number of at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

/// A finite number above 0.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Positive(pub f64);

/// A finite number of at least 0.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct NonNegative(pub f64);

/// A number from 0 to 1, both included.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Fraction(pub f64);

/// What random draws are made of; the study's own seed where it is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Count {
    /// The number as a size in memory.
    #[must_use]
    pub fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromSpec for Count {
    fn schema() -> Schema {
        Schema::Integer { min: Some(1), max: None }
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let number = integer(node, scope)?;
        let count = u64::try_from(number).ok().filter(|&count| count > 0);
        if count.is_none() {
            out_of_range(node, scope, &super::describe(&Self::schema()), number);
        }
        count.map(Self)
    }

    fn to_tree(&self) -> Option<Tree> {
        self.0.to_tree()
    }
}

impl FromSpec for Seed {
    fn schema() -> Schema {
        Schema::Seed
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        u64::from_spec(node, scope).map(Self)
    }

    fn when_absent(scope: &mut Scope<'_>) -> Option<Self> {
        Some(Self(scope.surroundings.seed()))
    }

    fn required() -> bool {
        false
    }

    fn to_tree(&self) -> Option<Tree> {
        self.0.to_tree()
    }
}

macro_rules! bounded {
    ($($type:ident: $min:expr, $max:expr, $above:expr;)*) => {$(
        impl FromSpec for $type {
            fn schema() -> Schema {
                Schema::Number { min: $min, max: $max, above_min: $above }
            }

            fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
                let number = number(node, scope)?;
                let (min, max): (Option<f64>, Option<f64>) = ($min, $max);
                let low = min.is_some_and(|min| number < min || ($above && number <= min));
                if low || max.is_some_and(|max| number > max) || number.is_infinite() {
                    out_of_range(node, scope, &super::describe(&Self::schema()), number);
                    return None;
                }
                Some(Self(number))
            }

            fn to_tree(&self) -> Option<Tree> {
                Some(Tree::Float(self.0))
            }
        }
    )*};
}

bounded! {
    Positive: Some(0.0), None, true;
    NonNegative: Some(0.0), None, false;
    Fraction: Some(0.0), Some(1.0), false;
}

#[cfg(test)]
mod tests {
    use super::super::testing::Toy;
    use super::super::{FromSpec, OneOrMany};
    use super::*;

    fn label<T: FromSpec + std::fmt::Debug>(text: &str) -> String {
        Toy::new("").read_value::<T>(text).expect_err("a fault")[0].label.clone()
    }

    fn help<T: FromSpec + std::fmt::Debug>(text: &str) -> Option<String> {
        Toy::new("").read_value::<T>(text).expect_err("a fault")[0].help.clone()
    }

    #[test]
    fn bounds_are_named_where_they_are_broken() {
        assert_eq!(label::<Count>("0"), "expected whole number >= 1, found 0");
        assert_eq!(label::<Positive>("0.0"), "expected number > 0, found 0");
        assert_eq!(label::<Positive>("inf"), "expected number > 0, found inf");
        assert_eq!(label::<NonNegative>("-0.5"), "expected number >= 0, found -0.5");
        assert_eq!(label::<Fraction>("1.5"), "expected number from 0 to 1, found 1.5");
        assert_eq!(label::<u32>("4294967296"), "expected whole number from 0 to 4294967295, found 4294967296");
        assert_eq!(label::<f64>("nan"), "nan");
    }

    #[test]
    fn the_ends_of_a_bound_that_belong_to_it_are_taken() {
        assert_eq!(Toy::new("").read_value("1"), Ok(Fraction(1.0)));
        assert_eq!(Toy::new("").read_value("0"), Ok(NonNegative(0.0)));
        assert_eq!(Toy::new("").read_value("1"), Ok(Count(1)));
    }

    #[test]
    fn almost_right_types_come_with_their_fix() {
        assert_eq!(help::<Count>("3.0").as_deref(), Some("write `3`"));
        assert_eq!(help::<Count>("\"3\"").as_deref(), Some("write `3` without quotes"));
        assert_eq!(help::<f64>("\"1e-3\"").as_deref(), Some("write `1e-3` without quotes"));
        assert_eq!(help::<bool>("\"true\"").as_deref(), Some("write `true` without quotes"));
        assert_eq!(help::<String>("3").as_deref(), Some("write it in quotes"));
        assert_eq!(label::<Count>("3.5"), "expected a whole number, found a number");
    }

    #[test]
    fn a_single_is_hashed_as_its_shortest_decimal() {
        let single: f32 = Toy::new("").read_value("0.1").expect("valid");
        assert_eq!(single.to_tree(), Some(Tree::Float(0.1)));
    }

    #[test]
    fn one_value_stands_for_a_list_of_it() {
        let one: OneOrMany<Count> = Toy::new("").read_value("3").expect("valid");
        let many: OneOrMany<Count> = Toy::new("").read_value("[3]").expect("valid");
        assert_eq!(one, many);
        assert_eq!(one.to_tree(), many.to_tree());
        assert_eq!(label::<OneOrMany<Count>>("[]"), "empty");
    }
}
