//! The shape of a configuration, told by its own type: what a key may hold, its default, its unit, its help.
//!
//! One description serves the parser's messages, `duress stages KIND`, the reference page and the JSON schema.

/// What a value may look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    /// `true` or `false`.
    Boolean,
    /// A whole number within the bounds, both inclusive.
    Integer {
        /// The least allowed value.
        min: Option<i64>,
        /// The greatest allowed value.
        max: Option<i64>,
    },
    /// A number within the bounds; whole numbers are taken too.
    Number {
        /// The lower bound.
        min: Option<f64>,
        /// The upper bound.
        max: Option<f64>,
        /// Whether the lower bound itself is left out.
        above_min: bool,
    },
    /// Any string.
    Text,
    /// A seed: a whole number, the study's own where it is not written.
    Seed,
    /// A list of values of one shape.
    List(Box<Schema>),
    /// A table of free keys to values of one shape.
    Map(Box<Schema>),
    /// A table of known keys.
    Record(Record),
    /// One of several named variants, each written as a word or as `{ word = { .. } }`.
    Choice(Vec<Variant>),
    /// Any one of these shapes, tried in order.
    AnyOf(Vec<Schema>),
    /// A shape with a name, by which [`Schema::Again`] refers back to it from inside.
    Named {
        /// The name, a noun such as `layer`.
        name: &'static str,
        /// The shape.
        content: Box<Schema>,
    },
    /// The shape of that name once more: what holds lists of its own kind.
    Again(&'static str),
    /// A reference to an artifact of one of these types.
    Input {
        /// Names of the artifact types taken, such as `weights`.
        accepts: &'static [&'static str],
        /// Whether several artifacts may be collected into this input.
        many: bool,
    },
    /// The name of a `[section.X]` table whose contents take this reference's place; the inner schema is theirs.
    Definition {
        /// The section, such as `model`.
        section: &'static str,
        /// What the section's table looks like.
        content: Box<Schema>,
    },
}

/// A table of known keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What the table as a whole is for.
    pub doc: String,
    /// Its keys, in the order of the documentation.
    pub fields: Vec<Field>,
}

/// One key of a [`Record`].
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What it means.
    pub doc: String,
    /// What it may hold.
    pub schema: Schema,
    /// Whether a spec must write it.
    pub required: bool,
    /// The default as a user would write it; none where absence itself has a meaning.
    pub default: Option<String>,
    /// The unit of the value, empty where it has none.
    pub unit: &'static str,
}

/// One alternative of a [`Schema::Choice`].
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// The word that picks it.
    pub name: &'static str,
    /// What it means.
    pub doc: String,
    /// What stands behind the word in `{ word = .. }`, a record of keys mostly; none where the word says all.
    pub content: Option<Schema>,
}
