//! [`config!`](crate::config) and [`choice!`](crate::choice): a type declares its keys once, and reads, documents and hashes itself.
//!
//! ```
//! use duress_engine::spec::{Count, Positive};
//! use duress_engine::{choice, config};
//!
//! config! {
//!     /// Trains by gradient descent.
//!     #[derive(Clone)]
//!     pub struct Train {
//!         /// How many updates to make; by default until the loss stops falling.
//!         [unit = "updates"]
//!         steps: Option<Count>,
//!         /// Examples per update.
//!         batch: Count = Count(32),
//!         /// The rule that makes an update of a gradient.
//!         optimizer: Optimizer = Optimizer::Plain,
//!     }
//! }
//!
//! config! {
//!     /// Adam's parameters.
//!     #[derive(Clone)]
//!     pub struct Adam {
//!         /// The step size.
//!         lr: Positive = Positive(1e-3),
//!     }
//! }
//!
//! choice! {
//!     /// A rule that makes an update of a gradient.
//!     #[derive(Clone)]
//!     pub enum Optimizer {
//!         /// The gradient itself.
//!         "plain" => Plain,
//!         /// Adam (Kingma & Ba 2015), written `"adam"` or `{ adam = { lr = 1e-4 } }`.
//!         "adam" => Adam(Adam),
//!     }
//! }
//! ```
//!
//! A field without `= default` must be written, unless its type knows what its absence means (`Option`,
//! [`Seed`](super::Seed)). Documentation of fields is the help of their keys.

use std::collections::BTreeMap;

use duress_cache::Tree;

use super::fault::Fault;
use super::from_spec::{FromSpec, Scope};
use super::schema::{Field, Record, Schema, Variant};
use super::suggest::{listed, unknown};
use super::value::{Node, Table, Value};

/// Reads the keys of one table; [`config!`](crate::config) expands to calls of it.
#[doc(hidden)]
pub struct Reader<'n, 's, 'a> {
    node: &'n Node,
    table: &'n Table,
    scope: &'s mut Scope<'a>,
}

impl<'n, 's, 'a> Reader<'n, 's, 'a> {
    /// Opens a table; pushes a fault where there is none.
    pub fn open(node: &'n Node, scope: &'s mut Scope<'a>) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            scope.wrong_type(node, "a table");
            return None;
        };
        Some(Self { node, table, scope })
    }

    /// Pushes a fault for every key that is written and not one of `keys`.
    pub fn refuse_others(&mut self, keys: &[&'static str]) {
        for entry in self.table.entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            let fault = unknown_key(&entry.key, entry.key_span, self.scope, keys);
            self.scope.fault(fault);
        }
    }

    /// The value of a key that must be written unless its type knows what absence means.
    pub fn required<T: FromSpec>(&mut self, key: &'static str) -> Option<T> {
        if self.table.get(key).is_some() {
            return self.written(key);
        }
        let absent = T::when_absent(self.scope);
        if absent.is_none() {
            let wanted = super::describe(&T::schema());
            let mut fault = Fault::new(
                "missing-key",
                self.node.span,
                format!("`{}` is missing", self.scope.dotted(key)),
                format!("needs `{key}`"),
            );
            fault.help = Some(format!("add `{key} = ...` ({wanted})"));
            self.scope.fault(fault);
        }
        absent
    }

    /// The value of a key that may be left out.
    pub fn or_default<T: FromSpec>(&mut self, key: &'static str, default: impl FnOnce() -> T) -> Option<T> {
        if self.table.get(key).is_some() { self.written(key) } else { Some(default()) }
    }

    fn written<T: FromSpec>(&mut self, key: &'static str) -> Option<T> {
        let entry = self.table.get(key)?;
        self.scope.inside(key, |scope| T::from_spec(&entry.node, scope))
    }
}

fn unknown_key(key: &str, span: super::Span, scope: &Scope<'_>, keys: &[&'static str]) -> Fault {
    let known = keys.iter().copied();
    let kind = scope.surroundings.kind();
    match (kind, scope.path.is_empty()) {
        (Some(kind), true) => {
            unknown("unknown-key", span, format!("`{key}` is not a key of `{kind}`"), key, known, "its keys")
                .help(format!("`duress stages {kind}` lists every key"))
        }
        (_, true) => unknown("unknown-key", span, format!("`{key}` is not a key here"), key, known, "its keys"),
        (_, false) => {
            let message = format!("`{key}` is not a key of `{}`", scope.path.join("."));
            unknown("unknown-key", span, message, key, known, "its keys")
        }
    }
}

/// What [`choice!`](crate::choice) declares: named variants.
pub trait Choice: FromSpec {
    /// The words that pick a variant, in the order of the documentation.
    const WORDS: &'static [&'static str];

    /// The word that picks this variant.
    fn word(&self) -> &'static str;
}

/// The documentation of one field; [`config!`](crate::config) expands to calls of it.
#[doc(hidden)]
#[must_use]
pub fn field<T: FromSpec>(
    name: &'static str,
    doc: &[&str],
    default: Option<Option<Tree>>,
    unit: &'static str,
) -> Field {
    Field {
        name,
        doc: joined(doc),
        schema: T::schema(),
        required: default.is_none() && T::required(),
        default: default.flatten().map(|tree| tree.to_string()),
        unit,
    }
}

/// Documentation lines as one text.
#[doc(hidden)]
#[must_use]
pub fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The record of a configuration.
#[doc(hidden)]
#[must_use]
pub fn record(doc: &[&str], fields: Vec<Field>) -> Schema {
    Schema::Record(Record { doc: joined(doc), fields })
}

/// A configuration's tree: its fields that have one.
#[doc(hidden)]
#[must_use]
pub fn tree(fields: &[(&str, Option<Tree>)]) -> Tree {
    Tree::Map(fields.iter().filter_map(|(name, tree)| Some(((*name).to_owned(), tree.clone()?))).collect())
}

/// A key as it is written: without the `r#` of a raw identifier.
#[doc(hidden)]
#[must_use]
pub fn key(identifier: &'static str) -> &'static str {
    identifier.strip_prefix("r#").unwrap_or(identifier)
}

/// The word that picks a variant, and the value behind it in `{ word = value }`.
#[doc(hidden)]
pub type Picked<'n> = (&'n str, Option<&'n Node>);

/// Which variant of a [`choice!`](crate::choice) a value picks.
#[doc(hidden)]
pub fn pick<'n>(node: &'n Node, scope: &mut Scope<'_>, variants: &[Variant]) -> Option<Picked<'n>> {
    let words = variants.iter().map(|variant| variant.name);
    let (word, span, content) = match &node.value {
        Value::String(word) => (word, node.span, None),
        Value::Table(Table { entries }) if entries.len() == 1 => {
            (&entries[0].key, entries[0].key_span, Some(&entries[0].node))
        }
        Value::Table(_) => {
            let message = format!("`{}` must say one thing of {}", scope.here(), listed(words));
            let help = match variants.iter().find(|variant| variant.content.is_some()) {
                Some(variant) => format!("write `{{ {} = ... }}` with a single key", variant.name),
                None => "write one of them in quotes".to_owned(),
            };
            scope.fault(Fault::new("wrong-choice", node.span, message, "expected a single key").help(help));
            return None;
        }
        _ => {
            scope.wrong_type(node, &format!("one of {}", listed(words)));
            return None;
        }
    };
    let Some(variant) = variants.iter().find(|variant| variant.name == word) else {
        let message = format!("`{}` cannot be `{word}`", scope.here());
        scope.fault(unknown("unknown-choice", span, message, word, words, "one of"));
        return None;
    };
    match (content, &variant.content) {
        (Some(node), None) => {
            scope.fault(
                Fault::new("wrong-choice", node.span, format!("`{word}` takes no value"), "nothing to set here")
                    .help(format!("write `\"{word}\"`")),
            );
            None
        }
        (None, Some(schema)) if !matches!(schema, Schema::Record(_)) => {
            scope.fault(
                Fault::new("wrong-choice", node.span, format!("`{word}` needs a value"), "a word alone")
                    .help(format!("write `{{ {word} = ... }}` ({})", super::describe(schema))),
            );
            None
        }
        _ => Some((word, content)),
    }
}

/// Reads the content of a variant; a word alone stands for an empty table.
#[doc(hidden)]
pub fn content<T: FromSpec>((word, content): Picked<'_>, node: &Node, scope: &mut Scope<'_>) -> Option<T> {
    let empty = Node { value: Value::Table(Table::default()), span: node.span };
    scope.inside(word, |scope| T::from_spec(content.unwrap_or(&empty), scope))
}

/// The tree of a variant with content.
#[doc(hidden)]
#[must_use]
pub fn variant_tree(word: &str, content: Option<Tree>) -> Tree {
    Tree::Map(BTreeMap::from([(word.to_owned(), content.unwrap_or_default())]))
}

/// Declares a table of a spec: a struct whose fields are keys and whose documentation is their help.
///
/// See the module `spec::config` for an example. `[unit = "..."]` before a field documents its unit.
#[macro_export]
macro_rules! config {
    (
        $(#[doc = $doc:expr])*
        $(#[derive($($derive:path),* $(,)?)])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:expr])*
                $([unit = $unit:literal])?
                $field:ident : $type:ty $(= $default:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug $($(, $derive)*)*)]
        $vis struct $name {
            $( $(#[doc = $field_doc])* $vis $field: $type, )*
        }

        impl $crate::spec::FromSpec for $name {
            fn schema() -> $crate::spec::Schema {
                $crate::spec::config::record(&[$($doc),*], ::std::vec![$(
                    $crate::spec::config::field::<$type>(
                        $crate::spec::config::key(::std::stringify!($field)),
                        &[$($field_doc),*],
                        $crate::config!(@default $type $(, $default)?),
                        ::std::concat!("" $(, $unit)?),
                    ),
                )*])
            }

            fn from_spec(
                node: &$crate::spec::Node,
                scope: &mut $crate::spec::Scope<'_>,
            ) -> ::std::option::Option<Self> {
                let keys = [$($crate::spec::config::key(::std::stringify!($field))),*];
                let reader = &mut $crate::spec::config::Reader::open(node, scope)?;
                reader.refuse_others(&keys);
                $( let $field: ::std::option::Option<$type> = $crate::config!(@read reader, $field $(, $default)?); )*
                ::std::option::Option::Some(Self { $($field: $field?),* })
            }

            fn to_tree(&self) -> ::std::option::Option<$crate::Tree> {
                ::std::option::Option::Some($crate::spec::config::tree(&[$((
                    $crate::spec::config::key(::std::stringify!($field)),
                    $crate::spec::FromSpec::to_tree(&self.$field),
                )),*]))
            }
        }
    };
    (@default $type:ty) => { ::std::option::Option::None };
    (@default $type:ty, $default:expr) => {{
        let default: $type = $default;
        ::std::option::Option::Some($crate::spec::FromSpec::to_tree(&default))
    }};
    (@read $reader:ident, $field:ident) => {
        $reader.required($crate::spec::config::key(::std::stringify!($field)))
    };
    (@read $reader:ident, $field:ident, $default:expr) => {
        $reader.or_default($crate::spec::config::key(::std::stringify!($field)), || $default)
    };
}

/// Declares one of several named variants, each written as a word or as `{ word = value }`.
///
/// See the module `spec::config` for an example. A word alone stands for a variant whose keys all have defaults.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $doc:expr])*
        $(#[derive($($derive:path),* $(,)?)])*
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $variant_doc:expr])*
                $word:literal => $variant:ident $(($content:ty))?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug $($(, $derive)*)*)]
        $vis enum $name {
            $( $(#[doc = $variant_doc])* $variant $(($content))?, )*
        }

        impl $crate::spec::Choice for $name {
            const WORDS: &'static [&'static str] = &[$($word),*];

            fn word(&self) -> &'static str {
                match self { $( $crate::choice!(@any $variant $(, $content)?) => $word, )* }
            }
        }

        impl $crate::spec::FromSpec for $name {
            fn schema() -> $crate::spec::Schema {
                $crate::spec::Schema::Choice(::std::vec![$(
                    $crate::spec::Variant {
                        name: $word,
                        doc: $crate::spec::config::joined(&[$($variant_doc),*]),
                        content: $crate::choice!(@schema $($content)?),
                    },
                )*])
            }

            fn from_spec(
                node: &$crate::spec::Node,
                scope: &mut $crate::spec::Scope<'_>,
            ) -> ::std::option::Option<Self> {
                let $crate::spec::Schema::Choice(variants) = <Self as $crate::spec::FromSpec>::schema() else {
                    return ::std::option::Option::None;
                };
                let picked = $crate::spec::config::pick(node, scope, &variants)?;
                match picked.0 {
                    $( $word => $crate::choice!(@read $variant, picked, node, scope $(, $content)?), )*
                    _ => ::std::option::Option::None,
                }
            }

            fn to_tree(&self) -> ::std::option::Option<$crate::Tree> {
                ::std::option::Option::Some(match self {
                    $( $crate::choice!(@pattern $variant, content $(, $content)?) =>
                        $crate::choice!(@tree $word, content $(, $content)?), )*
                })
            }
        }
    };
    (@any $variant:ident) => { Self::$variant };
    (@any $variant:ident, $content:ty) => { Self::$variant(_) };
    (@schema) => { ::std::option::Option::None };
    (@schema $content:ty) => { ::std::option::Option::Some(<$content as $crate::spec::FromSpec>::schema()) };
    (@read $variant:ident, $picked:ident, $node:ident, $scope:ident) => {
        ::std::option::Option::Some(Self::$variant)
    };
    (@read $variant:ident, $picked:ident, $node:ident, $scope:ident, $content:ty) => {
        $crate::spec::config::content::<$content>($picked, $node, $scope).map(Self::$variant)
    };
    (@pattern $variant:ident, $binding:ident) => { Self::$variant };
    (@pattern $variant:ident, $binding:ident, $content:ty) => { Self::$variant($binding) };
    (@tree $word:literal, $binding:ident) => { $crate::Tree::String(::std::string::String::from($word)) };
    (@tree $word:literal, $binding:ident, $content:ty) => {
        $crate::spec::config::variant_tree($word, $crate::spec::FromSpec::to_tree($binding))
    };
}

#[cfg(test)]
mod tests {
    use super::super::testing::Toy;
    use super::super::{Count, Defined, HasSection, Positive, Seed};
    use super::*;

    config! {
        /// Trains something.
        /// In two lines.
        #[derive(Clone, PartialEq)]
        struct Train {
            /// How long.
            [unit = "updates"]
            steps: Option<Count>,
            /// How many at once.
            batch: Count = Count(32),
            /// The rule.
            optimizer: Optimizer = Optimizer::Plain,
            seed: Seed,
            /// What is trained.
            model: Defined<Model>,
        }
    }

    config! {
        /// A model.
        #[derive(Clone, PartialEq)]
        struct Model {
            /// Its widths.
            hidden: Vec<Count> = Vec::new(),
            r#type: String,
        }
    }

    impl HasSection for Model {
        const SECTION: &'static str = "model";
    }

    choice! {
        /// A rule.
        #[derive(Clone, PartialEq)]
        enum Optimizer {
            /// None at all.
            "plain" => Plain,
            /// Adam.
            "adam" => Adam(Adam),
            /// So many at random.
            "random" => Random(Count),
        }
    }

    config! {
        /// Adam's parameters.
        #[derive(Clone, PartialEq)]
        struct Adam {
            /// Step size.
            lr: Positive = Positive(1e-3),
        }
    }

    const MODELS: &str = "[dense]\ntype = \"mlp\"\nhidden = [3]\n[odd]\ntype = 1\nhiden = []\n";

    fn train(text: &str) -> Result<Train, Vec<Fault>> {
        Toy::new(MODELS).read(text)
    }

    fn messages(text: &str) -> Vec<String> {
        let faults = train(text).expect_err("faults");
        faults.into_iter().map(|fault| format!("{}: {} ({})", fault.code, fault.message, fault.label)).collect()
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let read = train("model = \"dense\"").expect("valid");
        assert_eq!((read.steps, read.batch, read.seed), (None, Count(32), Seed(7)));
        assert_eq!(read.optimizer, Optimizer::Plain);
        assert_eq!(read.model.hidden, [Count(3)]);
    }

    #[test]
    fn a_choice_is_a_word_or_a_table_of_one_key() {
        let optimizer = |text: &str| train(&format!("model = \"dense\"\noptimizer = {text}")).map(|train| train.optimizer);
        assert_eq!(optimizer("\"adam\""), Ok(Optimizer::Adam(Adam { lr: Positive(1e-3) })));
        assert_eq!(optimizer("{ adam = { lr = 1 } }"), Ok(Optimizer::Adam(Adam { lr: Positive(1.0) })));
        assert_eq!(optimizer("{ random = 3 }"), Ok(Optimizer::Random(Count(3))));
        for (text, label) in [
            ("\"adm\"", "did you mean `adam`?"),
            ("{ adm = {} }", "did you mean `adam`?"),
            ("{ plain = {} }", "nothing to set here"),
            ("\"random\"", "a word alone"),
            ("{}", "expected a single key"),
            ("{ adam = {}, plain = {} }", "expected a single key"),
            ("3", "expected one of `plain`, `adam`, `random`, found a whole number"),
            ("{ adam = { lr = -1 } }", "expected number > 0, found -1"),
        ] {
            let faults = optimizer(text).expect_err("faults");
            assert_eq!(faults.iter().map(|fault| fault.label.as_str()).collect::<Vec<_>>(), [label], "{text}");
        }
        assert_eq!(Optimizer::WORDS, ["plain", "adam", "random"]);
        assert_eq!(Optimizer::Random(Count(1)).word(), "random");
    }

    #[test]
    fn all_faults_are_found_at_once_with_the_path_of_their_key() {
        assert_eq!(
            messages("stepz = 1\nbatch = 0\noptimizer = { adam = { lt = 1 } }\n"),
            [
                "unknown-key: `stepz` is not a key of `toy` (did you mean `steps`?)",
                "missing-key: `model` is missing (needs `model`)",
                "out-of-range: `batch` is out of range (expected whole number >= 1, found 0)",
                "unknown-key: `lt` is not a key of `optimizer.adam` (did you mean `lr`?)",
            ]
        );
        assert_eq!(
            messages("model = \"odd\"").len(),
            2,
            "the definition's own faults"
        );
    }

    #[test]
    fn the_tree_has_every_default_filled_in_and_no_names_of_definitions() {
        let written = train("model = { type = \"mlp\", hidden = [3] }\nbatch = 32\noptimizer = \"adam\"").expect("valid");
        let named = train("optimizer = { adam = {} }\nmodel = \"dense\"").expect("valid");
        assert_eq!(written.to_tree(), named.to_tree());
        let expected = Tree::map([
            ("batch", Tree::Integer(32)),
            ("model", Tree::map([("hidden", Tree::List(vec![Tree::Integer(3)])), ("type", Tree::from("mlp"))])),
            ("optimizer", Tree::map([("adam", Tree::map([("lr", Tree::Float(1e-3))]))])),
            ("seed", Tree::Integer(7)),
        ]);
        assert_eq!(named.to_tree(), Some(expected));
    }

    #[test]
    fn documentation_comes_from_the_declaration() {
        let Schema::Record(record) = Train::schema() else { panic!("not a record") };
        assert_eq!(record.doc, "Trains something.\nIn two lines.");
        let field = |name: &str| record.fields.iter().find(|field| field.name == name).expect("a field").clone();
        assert_eq!((field("steps").required, field("steps").unit, field("steps").default), (false, "updates", None));
        assert_eq!(field("batch").default.as_deref(), Some("32"));
        assert_eq!(field("optimizer").default.as_deref(), Some("\"plain\""));
        assert!(field("model").required);
        assert!(!field("seed").required);
        let Schema::Record(model) = Model::schema() else { panic!("not a record") };
        assert_eq!(model.fields[1].name, "type");
    }
}
