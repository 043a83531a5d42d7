//! [`Defined`]: a value that is written as the name of a `[section.X]` table, or as such a table in place.

use std::ops::Deref;

use duress_cache::Tree;

use super::from_spec::{FromSpec, Scope};
use super::schema::Schema;
use super::value::{Node, Value};

/// A type whose values have a section of their own in a spec.
pub trait HasSection: FromSpec {
    /// The section, such as `model`; one of the registry's definitions.
    const SECTION: &'static str;
}

/// A `T` that stands in a `[section.X]` table and is named, or stands here as an inline table.
///
/// Its name has no part in a key: two sections with the same content are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Defined<T>(pub T);

impl<T> Deref for Defined<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: HasSection> FromSpec for Defined<T> {
    fn schema() -> Schema {
        Schema::Definition { section: T::SECTION, content: Box::new(T::schema()) }
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        match &node.value {
            Value::String(name) => {
                let table = scope.surroundings.definition(T::SECTION, name, node.span, scope.faults)?;
                T::from_spec(&table, scope).map(Self)
            }
            Value::Table(_) => T::from_spec(node, scope).map(Self),
            _ => {
                let help = format!("write `\"X\"` for a table `[{}.X]`", T::SECTION);
                scope.wrong_type_with(node, &format!("the name of a {}", T::SECTION), Some(help));
                None
            }
        }
    }

    fn to_tree(&self) -> Option<Tree> {
        self.0.to_tree()
    }
}
