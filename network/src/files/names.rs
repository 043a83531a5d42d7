//! Rules by which a file's names become a network's: `"module.*" = "*"`, `"fc.{w}" = "linear.{w}"`,
//! `"dense/kernel" = "linear.weight | transpose"`, `"head.*" = ""`.

use std::collections::BTreeSet;

use super::error::FileError;
use super::layout::permute;
use crate::tensor::Tensor;

/// Rules from names in a file to names of parameters.
///
/// In a pattern `*` stands for any text and `{x}` for one component between dots or slashes; the name on the right repeats
/// them, stars in their order. Of the rules that match a name the most specific one applies, the one with the most
/// characters that are no wildcards. A name without a rule stays as it is; an empty right side leaves the tensor out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameMap {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    text: String,
    from: Vec<Part>,
    /// `None` leaves the tensor out.
    to: Option<Vec<Part>>,
    transform: Transform,
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Star,
    Component(String),
}

/// How a tensor is laid out anew on its way into the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Transform {
    #[default]
    Keep,
    /// All indices in reverse.
    Transpose,
    /// From height x width x inputs x outputs to outputs x inputs x height x width.
    Hwio,
}

impl NameMap {
    /// A map of these rules, pairs of a pattern and what its names become.
    ///
    /// # Errors
    /// Where a rule is written wrongly.
    pub fn new<F: AsRef<str>, T: AsRef<str>>(rules: impl IntoIterator<Item = (F, T)>) -> Result<Self, FileError> {
        let rules = rules.into_iter().map(|(from, to)| Rule::new(from.as_ref(), to.as_ref()));
        rules.collect::<Result<_, _>>().map(|rules| Self { rules }).map_err(FileError::Map)
    }

    /// Whether some rule speaks of names that begin with `prefix`.
    pub(super) fn mentions(&self, prefix: &str) -> bool {
        self.rules.iter().any(|rule| rule.text.starts_with(prefix))
    }

    /// Renames and lays out the tensors of a file; what a rule leaves out is dropped. Gives each tensor with its name in
    /// the file.
    ///
    /// # Errors
    /// Where a rule matches nothing, or a layout does not suit its tensor.
    pub(super) fn apply(&self, tensors: Vec<Tensor>) -> Result<Vec<(String, Tensor)>, FileError> {
        let mut used = vec![false; self.rules.len()];
        let mut mapped = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let original = tensor.name.clone();
            let matching = self.rules.iter().enumerate().filter_map(|(index, rule)| {
                let captures = rule.captures(&original)?;
                used[index] = true;
                Some((rule, captures))
            });
            // `max_by_key` takes the last of equals; the first rule written wins.
            let chosen = matching.collect::<Vec<_>>().into_iter().rev().max_by_key(|(rule, _)| rule.specificity());
            let tensor = match chosen {
                None => tensor,
                Some((rule, captures)) => match rule.rename(&captures) {
                    None => continue,
                    Some(name) => rule.transform.apply(Tensor { name, ..tensor }).map_err(FileError::Map)?,
                },
            };
            mapped.push((original, tensor));
        }
        if let Some(unused) = used.iter().position(|&used| !used) {
            let text = &self.rules[unused].text;
            return Err(FileError::Map(format!(
                "has a rule for `{text}`, which matches no tensor of the file; remove it"
            )));
        }
        Ok(mapped)
    }
}

impl Rule {
    fn new(from: &str, to: &str) -> Result<Self, String> {
        let (name, transform) = match to.split_once('|') {
            None => (to.trim(), Transform::Keep),
            Some((name, transform)) => (name.trim(), Transform::parse(from, transform.trim())?),
        };
        let pattern = parse(from)?;
        let target = if name.is_empty() { None } else { Some(parse(name)?) };
        let stars = |parts: &[Part]| parts.iter().filter(|part| **part == Part::Star).count();
        for part in target.iter().flatten() {
            if matches!(part, Part::Component(_)) && !pattern.contains(part) {
                return Err(format!(
                    "maps `{from}` to `{to}`, which uses a wildcard that `{from}` lacks; add it there"
                ));
            }
        }
        if stars(target.as_deref().unwrap_or_default()) > stars(&pattern) {
            return Err(format!("maps `{from}` to `{to}`, which has more stars; write as many on the left"));
        }
        Ok(Self { text: from.to_owned(), from: pattern, to: target, transform })
    }

    fn specificity(&self) -> usize {
        let lengths = self.from.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 });
        lengths.sum()
    }

    /// What each wildcard of the pattern stands for in `name`, or `None` if it does not match.
    fn captures<'a>(&self, name: &'a str) -> Option<Vec<&'a str>> {
        let mut captures = Vec::new();
        let mut dead = BTreeSet::new();
        matches(&self.from, name, &mut captures, &mut dead).then_some(captures)
    }

    fn rename(&self, captures: &[&str]) -> Option<String> {
        let wildcards: Vec<_> = self.from.iter().filter(|part| !matches!(part, Part::Text(_))).zip(captures).collect();
        let mut stars = wildcards.iter().filter(|(part, _)| **part == Part::Star);
        let text = self.to.as_ref()?.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Star => stars.next().map_or("", |(_, text)| text),
            Part::Component(_) => wildcards.iter().find(|(wildcard, _)| *wildcard == part).map_or("", |(_, text)| text),
        });
        Some(text.collect())
    }
}

/// Matches the whole of `name`, shortest texts first, never trying twice what failed once: `dead` holds pairs of parts and
/// characters left.
fn matches<'a>(
    parts: &[Part],
    name: &'a str,
    captures: &mut Vec<&'a str>,
    dead: &mut BTreeSet<(usize, usize)>,
) -> bool {
    let Some((part, rest)) = parts.split_first() else { return name.is_empty() };
    if dead.contains(&(parts.len(), name.len())) {
        return false;
    }
    let found = match part {
        Part::Text(text) => name.strip_prefix(text.as_str()).is_some_and(|name| matches(rest, name, captures, dead)),
        Part::Star | Part::Component(_) => {
            let component = *part != Part::Star;
            let longest = if component { name.find(['.', '/']).unwrap_or(name.len()) } else { name.len() };
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.filter(|&end| end <= longest && !(component && end == 0)).any(|end| {
                captures.push(&name[..end]);
                let found = matches(rest, &name[end..], captures, dead);
                if !found {
                    captures.pop();
                }
                found
            })
        }
    };
    if !found {
        dead.insert((parts.len(), name.len()));
    }
    found
}

fn parse(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['*', '{']) {
        if at > 0 {
            parts.push(Part::Text(rest[..at].to_owned()));
        }
        rest = &rest[at..];
        rest = if let Some(after) = rest.strip_prefix('*') {
            parts.push(Part::Star);
            after
        } else {
            let (name, after) = rest[1..].split_once('}').ok_or_else(|| {
                format!("has a pattern `{pattern}` with a brace that is not closed; write `{{name}}`")
            })?;
            parts.push(Part::Component(name.to_owned()));
            after
        };
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

impl Transform {
    fn parse(rule: &str, text: &str) -> Result<Self, String> {
        match text {
            "transpose" => Ok(Self::Transpose),
            "hwio" => Ok(Self::Hwio),
            _ => Err(format!("asks for the layout `{text}` of `{rule}`; use `transpose` or `hwio`")),
        }
    }

    fn apply(self, tensor: Tensor) -> Result<Tensor, String> {
        let axes: Vec<usize> = match self {
            Self::Keep => return Ok(tensor),
            Self::Transpose => (0..tensor.shape.len()).rev().collect(),
            Self::Hwio if tensor.shape.len() == 4 => vec![3, 2, 0, 1],
            Self::Hwio => {
                let Tensor { name, shape, .. } = tensor;
                return Err(format!("takes `{name}` of shape {shape:?} for a kernel; use `hwio` for four dimensions"));
            }
        };
        let values = permute(&tensor.shape, &tensor.values, &axes);
        Ok(Tensor { shape: axes.iter().map(|&axis| tensor.shape[axis]).collect(), values, ..tensor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(rules: &[(&str, &str)], names: &[&str]) -> Vec<String> {
        let tensors = names.iter().map(|&name| Tensor::zeros(name, vec![1])).collect();
        let mapped = NameMap::new(rules.iter().copied()).expect("sound rules").apply(tensors).expect("all match");
        mapped.into_iter().map(|(_, tensor)| tensor.name).collect()
    }

    #[test]
    fn stars_and_components_are_carried_over() {
        let names = ["module.layer1.0.conv1.weight", "module.fc.weight"];
        assert_eq!(renamed(&[("module.*", "*")], &names), ["layer1.0.conv1.weight", "fc.weight"]);
        let rules = [("module.fc.{w}", "linear.{w}"), ("module.*", "*")];
        assert_eq!(renamed(&rules, &names), ["layer1.0.conv1.weight", "linear.weight"]);
        assert_eq!(renamed(&[("features.{i}.*", "block{i}.*")], &["features.3.0.bias"]), ["block3.0.bias"]);
        assert_eq!(renamed(&[("*.{x}", "{x}/*")], &["a.b.c"]), ["c/a.b"]);
    }

    #[test]
    fn an_empty_right_side_leaves_a_tensor_out() {
        assert_eq!(renamed(&[("head.*", "")], &["head.weight", "body.weight"]), ["body.weight"]);
    }

    #[test]
    fn layouts_change_on_the_way() {
        let tensor = Tensor { name: "w".into(), shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let map = NameMap::new([("w", "v | transpose")]).expect("sound");
        let (_, mapped) = map.apply(vec![tensor]).expect("two dimensions").remove(0);
        assert_eq!((mapped.shape, mapped.values), (vec![3, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
        let map = NameMap::new([("w", "v | hwio")]).expect("sound");
        assert!(map.apply(vec![Tensor::zeros("w", vec![2, 3])]).is_err());
    }

    #[test]
    fn faulty_rules_say_what_is_wrong() {
        let fault = |from, to| NameMap::new([(from, to)]).expect_err("faulty").to_string();
        assert!(fault("a.{x", "b").contains("not closed"));
        assert!(fault("a.{x}", "b.{y}").contains("lacks"));
        assert!(fault("a", "b.*").contains("more stars"));
        assert!(fault("a", "b | rotate").contains("`transpose` or `hwio`"));
        let unused = NameMap::new([("module.*", "*")]).expect("sound").apply(vec![]).expect_err("matches nothing");
        assert!(unused.to_string().contains("matches no tensor"));
    }

    #[test]
    fn many_stars_on_a_long_name_take_no_time() {
        let name = "a".repeat(500);
        assert_eq!(renamed(&[("x*", "y*")], &["xz"]), ["yz"]);
        let map = NameMap::new([("*a*a*a*a*a*b", "*"), ("*", "*")]).expect("sound");
        assert!(map.apply(vec![Tensor::zeros(name, vec![1])]).is_err());
    }
}
