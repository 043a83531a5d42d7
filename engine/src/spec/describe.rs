//! What a value may look like, said in a few words: `number > 0`, `` `l1` or `l2` ``, `list of whole numbers >= 1`.

use super::schema::{Record, Schema};

/// A schema in a few words, without an article.
#[must_use]
pub fn describe(schema: &Schema) -> String {
    match schema {
        Schema::Boolean => "`true` or `false`".to_owned(),
        Schema::Integer { min, max } => format!("whole number{}", bounds(*min, *max, false)),
        Schema::Number { min, max, above_min } => format!("number{}", bounds(*min, *max, *above_min)),
        Schema::Text => "string".to_owned(),
        Schema::Seed => "whole number >= 0, the study's seed if absent".to_owned(),
        Schema::List(item) => format!("list of {}", grouped(item)),
        Schema::Map(value) => format!("table of names to {}", grouped(value)),
        Schema::Record(record) => keys(record),
        Schema::Choice(variants) => {
            let words = variants.iter().map(|variant| match &variant.content {
                None => format!("`\"{}\"`", variant.name),
                Some(Schema::Record(record)) if record.fields.iter().all(|field| !field.required) => {
                    format!("`\"{0}\"`, `{{ {0} = {{ .. }} }}`", variant.name)
                }
                Some(Schema::Record(_)) => format!("`{{ {} = {{ .. }} }}`", variant.name),
                Some(content) => format!("`{{ {} = {} }}`", variant.name, describe(content)),
            });
            words.collect::<Vec<_>>().join(" or ")
        }
        Schema::AnyOf(shapes) => shapes.iter().map(describe).collect::<Vec<_>>().join(", or "),
        Schema::Named { content, .. } => describe(content),
        Schema::Again(name) => format!("such {name}"),
        Schema::Input { accepts, many } => {
            let what = accepts.join(" or ");
            if *many { format!("one or several references to {what}") } else { format!("reference to {what}") }
        }
        Schema::Definition { section, .. } => format!("name of a `[{section}.X]` table"),
    }
}

/// In parentheses where it would run into what surrounds it.
fn grouped(schema: &Schema) -> String {
    match schema {
        Schema::Choice(_) | Schema::AnyOf(_) | Schema::Seed => format!("({})", describe(schema)),
        Schema::Named { name, .. } => format!("{name}s"),
        Schema::Again(name) => format!("such {name}s"),
        _ => describe(schema),
    }
}

fn bounds<T: std::fmt::Display + PartialEq>(min: Option<T>, max: Option<T>, above_min: bool) -> String {
    match (min, max) {
        (None, None) => String::new(),
        (Some(min), None) => format!(" {} {min}", if above_min { ">" } else { ">=" }),
        (None, Some(max)) => format!(" <= {max}"),
        (Some(min), Some(max)) if above_min => format!(" above {min}, up to {max}"),
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
    }
}

fn keys(record: &Record) -> String {
    let names: Vec<String> = record.fields.iter().map(|field| format!("`{}`", field.name)).collect();
    if names.is_empty() { "empty table".to_owned() } else { format!("table of {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Count, Fraction, FromSpec, OneOrMany, Positive};

    #[test]
    fn shapes_are_said_in_a_few_words() {
        assert_eq!(describe(&Positive::schema()), "number > 0");
        assert_eq!(describe(&Fraction::schema()), "number from 0 to 1");
        assert_eq!(describe(&Vec::<Count>::schema()), "list of whole number >= 1");
        assert_eq!(describe(&OneOrMany::<String>::schema()), "string, or list of string");
        assert_eq!(describe(&Schema::Input { accepts: &["weights"], many: false }), "reference to weights");
    }
}
