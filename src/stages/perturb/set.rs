//! Several attacks that take their turns: what they share, and the set that is published under a name.

use duress_cache::Tree;
use duress_engine::spec::{Choice as _, Count, Fault, FromSpec, Node, Schema, Scope, Span, Value};
use duress_engine::stage::InferContext;

use super::attack::{AttackName, AttackTable, Loss};
use crate::nn::attack::Attack;

/// The name under which documentation refers back to an attack's keys.
const ATTACK: &str = "attack";

/// What attacks of a set have in common: which points count, and as what.
const SHARED: [&str; 4] = ["eps", "norm", "label", "clip"];

/// One attack, or several that share their sizes, norm, label and range.
#[derive(Clone, Debug)]
pub struct Attacks(pub(super) Vec<AttackTable>);

impl FromSpec for Attacks {
    fn schema() -> Schema {
        let one = Schema::Named { name: ATTACK, content: Box::new(AttackTable::schema()) };
        Schema::AnyOf(vec![one, Schema::List(Box::new(Schema::Again(ATTACK)))])
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            return AttackTable::from_spec(node, scope).map(|one| Self(vec![one]));
        };
        let Some(first) = items.first() else {
            let message = format!("`{}` needs at least one attack", scope.here());
            let fault = Fault::new("empty-list", node.span, message, "empty");
            scope.fault(fault.help("list an attack, such as `{ name = \"pgd\", eps = 0.1 }`"));
            return None;
        };
        let read = |(at, item): (usize, &Node)| {
            scope.inside(format!("[{at}]"), |scope| AttackTable::from_spec(&inherited(first, item), scope))
        };
        let all: Vec<Option<AttackTable>> = items.iter().enumerate().map(read).collect();
        let all: Vec<AttackTable> = all.into_iter().collect::<Option<_>>()?;
        let mut sound = true;
        for (item, attack) in items.iter().zip(&all) {
            for key in SHARED.iter().filter(|key| attack.shared(key) != all[0].shared(key)) {
                let message = format!("attacks of a set share `{key}`, and this one says another");
                let fault = Fault::new("conflict", entry(item, key), message, "not that of the first attack");
                scope.fault(fault.help(format!("drop it: the first attack's `{key}` counts for all")));
                sound = false;
            }
        }
        sound.then_some(Self(all))
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(self.tree())
    }
}

/// `item` with what the first attack of the set says of the keys that they share, where it says nothing itself.
fn inherited(first: &Node, item: &Node) -> Node {
    let mut item = item.clone();
    if let (Value::Table(first), Value::Table(own)) = (&first.value, &mut item.value) {
        let missing = |key: &&&str| own.get(key).is_none();
        let keys: Vec<_> = SHARED.iter().filter(missing).filter_map(|key| first.get(key)).cloned().collect();
        own.entries.extend(keys);
    }
    item
}

/// Where `key` stands in a table; the table where it does not.
fn entry(node: &Node, key: &str) -> Span {
    match &node.value {
        Value::Table(table) => table.get(key).map_or(node.span, |entry| entry.node.span),
        _ => node.span,
    }
}

impl Attacks {
    /// The first attack, which says what all share.
    pub(super) fn first(&self) -> &AttackTable {
        &self.0[0]
    }

    /// The sizes, ascending, each once.
    pub(super) fn sizes(&self) -> Vec<f64> {
        self.first().sizes()
    }

    /// Whether it is noise, which is drawn for all samples.
    pub(super) fn is_noise(&self) -> bool {
        self.first().is_noise()
    }

    /// Draws per sample and size.
    pub(super) fn repetitions(&self) -> u64 {
        self.first().repetitions()
    }

    /// Whether one of them is `name`.
    pub(super) fn has(&self, name: AttackName) -> bool {
        self.members().iter().any(|attack| attack.name == name)
    }

    /// Passes of the network per sample and size.
    pub(super) fn passes(&self) -> u64 {
        self.0.iter().map(AttackTable::passes).sum()
    }

    /// Every attack, in its turn.
    pub(super) fn members(&self) -> Vec<AttackTable> {
        self.0.iter().flat_map(AttackTable::members).collect()
    }

    /// The same as they are run.
    pub(super) fn plans(&self, seed: u64) -> Vec<Attack> {
        self.0.iter().flat_map(|attack| attack.plans(seed)).collect()
    }

    /// What results call them: their names, with a number from the second of a name on.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for attack in self.members() {
            let word = attack.name.word();
            let again = |name: &&String| name.as_str() == word || name.starts_with(&format!("{word}#"));
            let count = names.iter().filter(again).count();
            names.push(if count == 0 { word.to_owned() } else { format!("{word}#{}", count + 1) });
        }
        names
    }

    /// Where a key of attack number `at` stands.
    pub(super) fn span(cx: &InferContext<'_>, at: usize, key: &str) -> Span {
        let Value::Table(stage) = &cx.table.value else { return cx.table.span };
        match stage.get("attack").map(|entry| &entry.node) {
            Some(Node { value: Value::Array(items), span }) => items.get(at).map_or(*span, |item| entry(item, key)),
            _ => cx.span_of(&format!("attack.{key}")),
        }
    }

    /// What has an effect: one attack as itself, a set as a list.
    pub(super) fn tree(&self) -> Tree {
        match self.0.as_slice() {
            [one] => one.tree(),
            all => Tree::List(all.iter().map(AttackTable::tree).collect()),
        }
    }
}

impl AttackTable {
    /// One of the keys that attacks of a set share, as it enters the key.
    fn shared(&self, key: &str) -> Option<Tree> {
        match key {
            "eps" => Some(Tree::List(self.sizes().into_iter().map(Tree::Float).collect())),
            "norm" => self.norm.to_tree(),
            "label" => self.label.to_tree(),
            _ => self.clip.to_tree(),
        }
    }
}

/// The standard set of Croce and Hein (2020), with the settings of its authors' code.
pub(super) fn standard(shared: &AttackTable) -> Vec<AttackTable> {
    let (steps, restarts, targets, queries) = (Count(100), Count(1), Count(9), Count(5_000));
    let base = AttackTable { steps, restarts, targets, queries, loss: Loss::CrossEntropy, ..shared.clone() };
    let names = [AttackName::Apgd, AttackName::ApgdTargeted, AttackName::Fab, AttackName::Square];
    names.into_iter().map(|name| AttackTable { name, ..base.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::attack::{Apgd, Fab, Goal, Method, Norm, Square};
    use crate::stages::perturb::Perturb;
    use crate::stages::testing::{infer, key, read};

    const INPUTS: &str = "weights = 'train'\ndata = 'digits.test'\n";

    fn attacks(attack: &str) -> Attacks {
        read::<Perturb>(&format!("{INPUTS}attack = {attack}")).expect("valid").0.attack
    }

    #[test]
    fn autoattack_is_its_published_set() {
        let methods: Vec<Method> =
            attacks("{ name = 'autoattack', eps = 0.1 }").plans(0).iter().map(|plan| plan.method).collect();
        let apgd = |goal| Method::Apgd(Apgd { steps: 100, restarts: 1, norm: Norm::Linf, goal });
        let published = [
            apgd(Goal::Loss(crate::nn::attack::Loss::CrossEntropy)),
            apgd(Goal::Targets(9)),
            Method::Fab(Fab { steps: 100, targets: 9, norm: Norm::Linf }),
            Method::Square(Square { queries: 5_000, share: 0.8 }),
        ];
        assert_eq!(methods, published);
    }

    #[test]
    fn attacks_of_a_set_take_over_what_the_first_says() {
        let set =
            attacks("[{ name = 'pgd', eps = [0.2, 0.1], norm = 'l2', clip = [] }, { name = 'pgd', loss = 'dlr' }]");
        assert_eq!(set.sizes(), [0.1, 0.2]);
        assert!(
            set.plans(3).iter().all(|plan| plan.method.norm() == Norm::L2 && plan.clip.is_none() && plan.seed == 3)
        );
        assert_eq!(set.names(), ["pgd", "pgd#2"]);
        // Written out it is the same.
        let one = |attack: &str| key::<Perturb>(&format!("{INPUTS}attack = {attack}"));
        let short = one("[{ name = 'fgsm', eps = 0.1 }, { name = 'square' }]");
        assert_eq!(short, one("[{ name = 'fgsm', eps = 0.1 }, { name = 'square', eps = [0.1], queries = 1_000 }]"));
        assert_ne!(short, one("[{ name = 'square', eps = 0.1 }, { name = 'fgsm' }]"));
        assert_eq!(one("[{ name = 'fgsm', eps = 0.1 }]"), one("{ name = 'fgsm', eps = 0.1 }"));
    }

    #[test]
    fn sets_that_make_no_sense_are_faults() {
        let faults = |attack: &str| -> Vec<&'static str> {
            let (_, faults) = infer::<Perturb>(&format!("{INPUTS}attack = {attack}"), 4);
            faults.iter().map(|fault| fault.code).collect()
        };
        assert_eq!(faults("[{ name = 'fgsm', eps = 0.1 }, { name = 'pgd' }]"), [""; 0]);
        assert_eq!(faults("[]"), ["empty-list"]);
        assert_eq!(faults("[{ name = 'fgsm' }, { name = 'pgd' }]"), ["missing-key", "missing-key"]);
        assert_eq!(faults("[{ name = 'fgsm', eps = 0.1 }, { name = 'pgd', eps = 0.2 }]"), ["conflict"]);
        assert_eq!(faults("[{ name = 'fgsm', eps = 0.1 }, { name = 'gaussian' }]"), ["conflict"]);
        assert_eq!(faults("[{ name = 'pgd', eps = 0.1, norm = 'l2' }, { name = 'square' }]"), ["wrong-norm"]);
        assert_eq!(faults("[{ name = 'pgd', eps = 0.1 }, { name = 'one-pixel', population = 3 }]"), ["out-of-range"]);
    }
}
