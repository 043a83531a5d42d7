//! How plain types read themselves: booleans, numbers, text, lists, maps, options.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;

use duress_cache::Tree;

use super::fault::Fault;
use super::from_spec::{FromSpec, Scope};
use super::schema::Schema;
use super::value::{Node, Span, Value};

/// Reads a whole number, or pushes the fault of it being something else.
pub(super) fn integer(node: &Node, scope: &mut Scope<'_>) -> Option<i64> {
    match &node.value {
        Value::Integer(number) => Some(*number),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            scope.wrong_type_with(node, "a whole number", Some(format!("write `{number}`")));
            None
        }
        Value::String(text) if text.parse::<i64>().is_ok() => {
            scope.wrong_type_with(node, "a whole number", Some(format!("write `{text}` without quotes")));
            None
        }
        _ => {
            scope.wrong_type(node, "a whole number");
            None
        }
    }
}

/// Reads a number, whole or not, or pushes the fault of it being something else.
pub(super) fn number(node: &Node, scope: &mut Scope<'_>) -> Option<f64> {
    match &node.value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) if number.is_nan() => {
            let message = format!("`{}` is not a number", scope.here());
            scope.fault(Fault::new("not-a-number", node.span, message, "nan").help("write a number"));
            None
        }
        Value::Float(number) => Some(*number),
        Value::String(text) if text.parse::<f64>().is_ok() => {
            scope.wrong_type_with(node, "a number", Some(format!("write `{text}` without quotes")));
            None
        }
        _ => {
            scope.wrong_type(node, "a number");
            None
        }
    }
}

/// Pushes the fault of a number beyond its bounds.
pub(super) fn out_of_range(node: &Node, scope: &mut Scope<'_>, wanted: &str, found: impl std::fmt::Display) {
    let message = format!("`{}` is out of range", scope.here());
    scope.fault(Fault::new("out-of-range", node.span, message, format!("expected {wanted}, found {found}")));
}

impl FromSpec for bool {
    fn schema() -> Schema {
        Schema::Boolean
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        match &node.value {
            Value::Boolean(value) => Some(*value),
            Value::String(text) if text == "true" || text == "false" => {
                scope.wrong_type_with(node, "`true` or `false`", Some(format!("write `{text}` without quotes")));
                None
            }
            _ => {
                scope.wrong_type(node, "`true` or `false`");
                None
            }
        }
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(Tree::Bool(*self))
    }
}

macro_rules! integers {
    ($($type:ty: $min:expr, $max:expr;)*) => {$(
        impl FromSpec for $type {
            fn schema() -> Schema {
                Schema::Integer { min: $min, max: $max }
            }

            fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
                let number = integer(node, scope)?;
                let fitting = <$type>::try_from(number).ok();
                if fitting.is_none() {
                    out_of_range(node, scope, &super::describe(&Self::schema()), number);
                }
                fitting
            }

            fn to_tree(&self) -> Option<Tree> {
                Some(Tree::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
        }
    )*};
}

integers! {
    i64: None, None;
    u64: Some(0), None;
    usize: Some(0), None;
    u32: Some(0), Some(i64::from(u32::MAX));
}

impl FromSpec for f64 {
    fn schema() -> Schema {
        Schema::Number { min: None, max: None, above_min: false }
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        number(node, scope)
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(Tree::Float(*self))
    }
}

/// Rounded to the nearest single; its tree is the shortest decimal that means the same single.
impl FromSpec for f32 {
    fn schema() -> Schema {
        f64::schema()
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let wide = number(node, scope)?;
        let narrow = wide as Self;
        if narrow.is_infinite() && wide.is_finite() {
            out_of_range(node, scope, "a number of at most 3.4e38", wide);
            return None;
        }
        Some(narrow)
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(Tree::Float(self.to_string().parse().unwrap_or_else(|_| f64::from(*self))))
    }
}

impl FromSpec for String {
    fn schema() -> Schema {
        Schema::Text
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let Value::String(text) = &node.value else {
            let plain = matches!(node.value, Value::Boolean(_) | Value::Integer(_) | Value::Float(_));
            scope.wrong_type_with(node, "a string", plain.then(|| "write it in quotes".to_owned()));
            return None;
        };
        Some(text.clone())
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(Tree::String(self.clone()))
    }
}

/// As written. A path is no fit part of a key: a kind that has one leaves it out of its `config` and lists a source.
impl FromSpec for PathBuf {
    fn schema() -> Schema {
        Schema::Text
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        String::from_spec(node, scope).map(Self::from)
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(Tree::String(self.to_string_lossy().into_owned()))
    }
}

impl<T: FromSpec> FromSpec for Option<T> {
    fn schema() -> Schema {
        T::schema()
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        T::from_spec_optional(node, scope)
    }

    fn when_absent(_scope: &mut Scope<'_>) -> Option<Self> {
        Some(None)
    }

    fn required() -> bool {
        false
    }

    fn to_tree(&self) -> Option<Tree> {
        self.as_ref().and_then(T::to_tree)
    }
}

impl<T: FromSpec> FromSpec for Vec<T> {
    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            scope.wrong_type_with(node, "a list", Some("write it in brackets: `[...]`".to_owned()));
            return None;
        };
        let read = |(index, item)| scope.inside(format!("[{index}]"), |scope| T::from_spec(item, scope));
        let read: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        read.into_iter().collect()
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(Tree::List(self.iter().filter_map(T::to_tree).collect()))
    }
}

impl<T: FromSpec> FromSpec for BTreeMap<String, T> {
    fn schema() -> Schema {
        Schema::Map(Box::new(T::schema()))
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            scope.wrong_type(node, "a table");
            return None;
        };
        let read: Vec<Option<(String, T)>> = table
            .entries
            .iter()
            .map(|entry| {
                let value = scope.inside(&entry.key, |scope| T::from_spec(&entry.node, scope));
                Some((entry.key.clone(), value?))
            })
            .collect();
        read.into_iter().collect()
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(Tree::Map(self.iter().filter_map(|(key, value)| Some((key.clone(), value.to_tree()?))).collect()))
    }
}

/// One value or a list of at least one: `"l2"` means `["l2"]`.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: FromSpec> FromSpec for OneOrMany<T> {
    fn schema() -> Schema {
        Schema::AnyOf(vec![T::schema(), Vec::<T>::schema()])
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        match &node.value {
            Value::Array(items) if items.is_empty() => {
                let message = format!("`{}` needs at least one value", scope.here());
                scope
                    .fault(Fault::new("empty-list", node.span, message, "empty").help("list a value, or drop the key"));
                None
            }
            Value::Array(_) => Vec::from_spec(node, scope).map(Self),
            _ => T::from_spec(node, scope).map(|one| Self(vec![one])),
        }
    }

    fn to_tree(&self) -> Option<Tree> {
        self.0.to_tree()
    }
}

/// A value that remembers where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: FromSpec> FromSpec for Spanned<T> {
    fn schema() -> Schema {
        T::schema()
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        T::from_spec(node, scope).map(|value| Self { value, span: node.span })
    }

    fn to_tree(&self) -> Option<Tree> {
        self.value.to_tree()
    }
}
