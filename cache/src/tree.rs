//! [`Tree`]: a resolved configuration as data. What enters a key, what a manifest stores, what `why` compares.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::content_hash::{ContentHash, Hasher};

/// A value of a configuration. Maps are sorted, so the order of keys in a spec has no meaning.
///
/// As JSON it is plain JSON: an integral float keeps its point (`1.0`), and the floats that JSON lacks are written
/// `{"$float": "nan"}`, `"inf"` or `"-inf"` (a map with that one key is written with another `$` in front).
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Tree {
    /// Nothing: an option that is not set.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a point; `1.0` is not [`Tree::Integer`] `1`.
    Float(f64),
    /// Text.
    String(String),
    /// Values in order.
    List(Vec<Tree>),
    /// Values by name.
    Map(BTreeMap<String, Tree>),
}

impl Tree {
    /// A map of these entries.
    pub fn map<K: Into<String>, V: Into<Tree>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// The value under `key`, where this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// Every scalar (and every empty list or map) with its dotted path and printed value, in path order: a list's
    /// elements are `hidden[0]`, `hidden[1]`. A scalar that stands alone has an empty path.
    #[must_use]
    pub fn leaves(&self) -> Vec<(String, String)> {
        let mut leaves = Vec::new();
        self.collect_leaves(&mut String::new(), &mut leaves);
        leaves
    }

    fn collect_leaves(&self, path: &mut String, leaves: &mut Vec<(String, String)>) {
        let stem = path.len();
        match self {
            Self::List(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    path.push('[');
                    path.push_str(&index.to_string());
                    path.push(']');
                    item.collect_leaves(path, leaves);
                    path.truncate(stem);
                }
            }
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    if stem > 0 {
                        path.push('.');
                    }
                    path.push_str(&bare_or_quoted(key));
                    value.collect_leaves(path, leaves);
                    path.truncate(stem);
                }
            }
            leaf => leaves.push((path.clone(), leaf.to_string())),
        }
    }
}

impl ContentHash for Tree {
    fn feed(&self, hasher: &mut Hasher) {
        match self {
            Self::Null => hasher.variant("Null"),
            Self::Bool(value) => {
                hasher.variant("Bool");
                value.feed(hasher);
            }
            Self::Integer(value) => {
                hasher.variant("Integer");
                value.feed(hasher);
            }
            Self::Float(value) => {
                hasher.variant("Float");
                value.feed(hasher);
            }
            Self::String(value) => {
                hasher.variant("String");
                value.feed(hasher);
            }
            Self::List(items) => {
                hasher.variant("List");
                items.feed(hasher);
            }
            Self::Map(entries) => {
                hasher.variant("Map");
                entries.feed(hasher);
            }
        }
    }
}

/// The compact form of an inline TOML value: `{ lr = 0.001, hidden = [300, 100] }`; nothing prints as `null`.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) if value.is_nan() => f.write_str("nan"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::String(value) => f.write_str(&quoted(value)),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) if entries.is_empty() => f.write_str("{}"),
            Self::Map(entries) => {
                f.write_str("{ ")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{} = {value}", if index > 0 { ", " } else { "" }, bare_or_quoted(key))?;
                }
                f.write_str(" }")
            }
        }
    }
}

fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { quoted(key) }
}

/// A basic TOML string, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const FLOAT: &str = "$float";

/// Whether a map with this one key has to be told apart from a float.
fn reserved(key: &str) -> bool {
    key.strip_suffix(FLOAT).is_some_and(|dollars| dollars.bytes().all(|byte| byte == b'$'))
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Self::Float(value) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(FLOAT, &Self::Float(*value).to_string())?;
                map.end()
            }
            Self::String(value) => serializer.serialize_str(value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => match entries.first_key_value() {
                Some((key, value)) if entries.len() == 1 && reserved(key) => {
                    serializer.collect_map([(format!("${key}"), value)])
                }
                _ => serializer.collect_map(entries),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tree, E> {
        i64::try_from(value).map(Tree::Integer).map_err(|_| E::custom("an integer beyond 64 bits"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = access.next_entry::<String, Tree>()? {
            entries.insert(key, value);
        }
        match entries.pop_first() {
            Some((key, value)) if entries.is_empty() && reserved(&key) => unreserve(&key, &value),
            Some((key, value)) => {
                entries.insert(key, value);
                Ok(Tree::Map(entries))
            }
            None => Ok(Tree::Map(entries)),
        }
    }
}

/// Reads a map of one reserved key: the float it stands for, or the map whose key has a `$` less.
fn unreserve<E: de::Error>(key: &str, value: &Tree) -> Result<Tree, E> {
    if key != FLOAT {
        return Ok(Tree::map([(&key[1..], value.clone())]));
    }
    match value {
        Tree::String(text) if text == "nan" => Ok(Tree::Float(f64::NAN)),
        Tree::String(text) if text == "inf" => Ok(Tree::Float(f64::INFINITY)),
        Tree::String(text) if text == "-inf" => Ok(Tree::Float(f64::NEG_INFINITY)),
        _ => Err(E::custom("`$float` takes \"nan\", \"inf\" or \"-inf\"")),
    }
}

macro_rules! from {
    ($($source:ty => |$value:ident| $tree:expr),* $(,)?) => {$(
        impl From<$source> for Tree {
            fn from($value: $source) -> Self {
                $tree
            }
        }
    )*};
}

from! {
    bool => |value| Self::Bool(value),
    i64 => |value| Self::Integer(value),
    i32 => |value| Self::Integer(value.into()),
    u32 => |value| Self::Integer(value.into()),
    f64 => |value| Self::Float(value),
    String => |value| Self::String(value),
    &str => |value| Self::String(value.to_owned()),
    BTreeMap<String, Tree> => |value| Self::Map(value),
}

impl<T: Into<Tree>> From<Vec<T>> for Tree {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Tree>> From<Option<T>> for Tree {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Trees at random, small enough that equal ones come up.
#[cfg(test)]
pub(crate) fn any_tree() -> impl proptest::strategy::Strategy<Value = Tree> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        (-2_i64..2).prop_map(Tree::Integer),
        prop_oneof![Just(0.0), Just(1.0), Just(-1.0), any::<f64>().prop_filter("NaN equals nothing", |f| !f.is_nan())]
            // -0.0 equals 0.0 but is another value.
            .prop_map(|float: f64| Tree::Float(if float == 0.0 { 0.0 } else { float })),
        "[ab$]{0,2}".prop_map(Tree::String),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
            prop::collection::btree_map("[ab]{0,2}|\\$?\\$float", inner, 0..4).prop_map(Tree::Map),
        ]
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config() -> Tree {
        Tree::map([
            ("optimizer", Tree::map([("adam", Tree::map([("lr", 1e-3)]))])),
            ("hidden", Tree::from(vec![300, 100])),
            ("bias", Tree::from(false)),
            ("mask", Tree::Null),
            ("init", Tree::from("glorot \"uniform\"")),
            ("empty", Tree::List(Vec::new())),
            ("a b", Tree::from(1.0)),
        ])
    }

    #[test]
    fn a_tree_prints_like_an_inline_table() {
        assert_eq!(
            config().to_string(),
            r#"{ "a b" = 1.0, bias = false, empty = [], hidden = [300, 100], init = "glorot \"uniform\"", mask = null, optimizer = { adam = { lr = 0.001 } } }"#
        );
        assert_eq!(Tree::Float(f64::NEG_INFINITY).to_string(), "-inf");
        assert_eq!(Tree::Float(1e-9).to_string(), "1e-9");
    }

    #[test]
    fn leaves_have_dotted_paths() {
        let leaves = config().leaves();
        let shown: Vec<_> = leaves.iter().map(|(path, value)| format!("{path}: {value}")).collect();
        assert_eq!(
            shown,
            [
                "\"a b\": 1.0",
                "bias: false",
                "empty: []",
                "hidden[0]: 300",
                "hidden[1]: 100",
                "init: \"glorot \\\"uniform\\\"\"",
                "mask: null",
                "optimizer.adam.lr: 0.001",
            ]
        );
        assert_eq!(Tree::from(3).leaves(), [(String::new(), "3".to_owned())]);
    }

    #[test]
    fn an_integral_float_is_no_integer_and_stays_a_float_as_json() {
        assert_ne!(Tree::Float(1.0).digest(), Tree::Integer(1).digest());
        assert_eq!(serde_json::to_string(&Tree::Float(1.0)).unwrap(), "1.0");
        for float in [1.0, 1e300, -0.0, 0.1, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NAN] {
            let json = serde_json::to_string(&Tree::Float(float)).unwrap();
            assert_eq!(serde_json::from_str::<Tree>(&json).unwrap().digest(), Tree::Float(float).digest(), "{json}");
        }
    }

    #[test]
    fn json_that_is_no_tree_is_refused() {
        for wrong in ["18446744073709551615", r#"{"$float":"one"}"#, r#"{"$float":1}"#, "[", "nan"] {
            assert!(serde_json::from_str::<Tree>(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_tree_reads_back_from_json(tree in any_tree()) {
            let json = serde_json::to_string(&tree).unwrap();
            prop_assert_eq!(serde_json::from_str::<Tree>(&json).unwrap(), tree);
        }

        #[test]
        fn different_leaves_mean_different_trees(a in any_tree(), b in any_tree()) {
            prop_assert_eq!(a == b, a.leaves() == b.leaves());
        }
    }
}
