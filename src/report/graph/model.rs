//! [`Drawing`]: boxes and arrows, and how a plan becomes them.

use std::collections::BTreeMap;

use duress_engine::plan::{Instance, Plan};

/// Boxes and arrows.
#[derive(Clone, Debug, Default)]
pub struct Drawing {
    /// The title.
    pub title: String,
    /// The boxes, in the order of the spec.
    pub shapes: Vec<Shape>,
    /// The arrows, each pair of boxes at most once.
    pub arrows: Vec<Arrow>,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its first line: the name of a section, or the label of an instance.
    pub name: String,
    /// Its second line: what it does.
    pub kind: String,
    /// Its third line, perhaps empty: the axes with their sizes.
    pub axes: String,
    /// Whether it depends on files alone, as a `[data.X]` does.
    pub source: bool,
}

/// An arrow from what makes a table to what reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// Index of the box it leaves.
    pub from: usize,
    /// Index of the box it enters.
    pub to: usize,
    /// What flows: the names of the outputs.
    pub label: String,
    /// Whether it leads back to an earlier box: the previous value of an ordered axis.
    pub back: bool,
}

impl Drawing {
    /// The plan by sections.
    #[must_use]
    pub fn of_sections(plan: &Plan) -> Self {
        let mut index = BTreeMap::new();
        let mut shapes: Vec<Shape> = Vec::new();
        for instance in &plan.instances {
            index.entry(instance.section.as_str()).or_insert_with(|| {
                shapes.push(section_shape(plan, instance));
                shapes.len() - 1
            });
        }
        let edges = plan.instances.iter().flat_map(|instance| {
            let to = index[instance.section.as_str()];
            instance.slots.iter().map(move |slot| (slot, to))
        });
        let edges: Vec<_> =
            edges.map(|(slot, to)| (index[plan.instances[slot.from].section.as_str()], to, slot.output)).collect();
        Self { title: plan.study.name.clone(), arrows: merge(&edges), shapes }
    }

    /// The plan by instances.
    #[must_use]
    pub fn of_instances(plan: &Plan) -> Self {
        let shape = |instance: &Instance| Shape {
            name: instance.label.clone(),
            kind: kind_of(instance),
            axes: String::new(),
            source: instance.source.is_some(),
        };
        let edges: Vec<_> = (plan.instances.iter().enumerate())
            .flat_map(|(to, instance)| instance.slots.iter().map(move |slot| (slot.from, to, slot.output)))
            .collect();
        Self {
            title: plan.study.name.clone(),
            arrows: merge(&edges),
            shapes: plan.instances.iter().map(shape).collect(),
        }
    }
}

fn section_shape(plan: &Plan, first: &Instance) -> Shape {
    let axes = plan.axes.get(&first.section).map_or(&[][..], Vec::as_slice);
    let counted: Vec<String> = axes.iter().map(|axis| format!("{axis} ×{}", values(plan, first, axis))).collect();
    Shape {
        name: first.section.clone(),
        kind: kind_of(first),
        axes: counted.join(", "),
        source: first.source.is_some(),
    }
}

/// How many values of `axis` the section's instances stand at.
fn values(plan: &Plan, first: &Instance, axis: &str) -> usize {
    let same = plan.instances.iter().filter(|instance| instance.section == first.section);
    let at = same.flat_map(|instance| instance.at.iter().filter(|at| at.axis == axis).map(|at| at.index));
    at.collect::<std::collections::BTreeSet<_>>().len()
}

fn kind_of(instance: &Instance) -> String {
    instance.source.unwrap_or(instance.kind.name).to_owned()
}

/// Arrows between the same boxes become one that names every output.
fn merge(edges: &[(usize, usize, &'static str)]) -> Vec<Arrow> {
    let mut outputs: BTreeMap<(usize, usize), Vec<&str>> = BTreeMap::new();
    for &(from, to, output) in edges {
        let labels = outputs.entry((from, to)).or_default();
        if !labels.contains(&output) {
            labels.push(output);
        }
    }
    let arrow = |((from, to), labels): ((usize, usize), Vec<&str>)| Arrow {
        from,
        to,
        label: labels.join(", "),
        back: from >= to,
    };
    outputs.into_iter().map(arrow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_edges_become_one_arrow_that_names_every_output() {
        let arrows = merge(&[(0, 1, "weights"), (0, 1, "mask"), (0, 1, "weights"), (1, 0, "mask")]);
        assert_eq!(arrows.len(), 2);
        assert_eq!(arrows[0].label, "weights, mask");
        assert!(!arrows[0].back);
        assert!(arrows[1].back);
    }
}
