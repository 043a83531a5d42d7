use std::sync::{Arc, Mutex};

use duress_cache::{Digest, MemoryStore, Store as _};
use duress_engine::config;
use duress_engine::plan::{self, Plan};
use duress_engine::run::{CancelToken, Event, Outcome, RunOptions, run};
use duress_engine::spec::{FromSpec, Node, Schema, Scope, SourceText};
use duress_engine::stage::{Kind, Registry, SourceSection};

use super::*;
use crate::host::Machine;
use crate::nn::weights_table::{mask_from_table, weights_from_table};
use crate::nn::{Activation, Mask, Network};
use crate::stages::artifact::DataFact;
use crate::stages::examples::split_table;
use crate::stages::model::DEFINITION;
use crate::stages::prune::Prune;

config! {
    /// Points around the corners of a cube, a class a corner.
    struct Shape {
        features: usize = 4,
        classes: usize = 3,
        regression: bool = false,
        picture: bool = false,
    }
}

impl StageKind for Shape {
    const KIND: &'static str = "shape";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Data of a shape";
    const EXAMPLE: &'static str = "";
    const OUTPUTS: &'static [OutputDoc] = &[OutputDoc { name: "training", artifact: "dataset", doc: "" }];
}

impl Stage for Shape {
    fn infer(&self, _cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        let classes = (!self.regression).then_some(self.classes);
        let shape = self.picture.then(|| vec![2, 2]);
        let regression = self.regression;
        let data = DataFact { features: Some(self.features), shape, classes, regression, ..DataFact::default() };
        let mut fact = data.split();
        fact.artifact = "dataset";
        vec![OutputFact { name: "training", fact }]
    }

    fn config(&self) -> Tree {
        self.to_tree().expect("a map")
    }

    fn run(&self, _cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let mut stream = Stream::new(1, "corners", &[]);
        let labels: Vec<u32> = (0..120).map(|row| (row % self.classes) as u32).collect();
        let corner = |label: u32, feature: usize| if label as usize == feature { 0.8 } else { 0.2 };
        let x = labels.iter().flat_map(|&label| (0..self.features).map(move |feature| corner(label, feature)));
        let x = x.map(|centre| (centre + 0.2 * (stream.uniform_f64() - 0.5)) as f32).collect();
        let examples = Examples {
            features: self.features,
            classes: self.classes,
            x,
            labels,
            targets: None,
            ..Examples::default()
        };
        Ok(Artifact::new([("training", split_table(&examples).map_err(StageError::failed)?)]))
    }
}

/// A training of which each update is a part.
#[derive(Debug)]
struct Chopped(Train);

impl FromSpec for Chopped {
    fn schema() -> Schema {
        Train::schema()
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        Train::from_spec(node, scope).map(Self)
    }

    fn to_tree(&self) -> Option<Tree> {
        self.0.to_tree()
    }
}

impl StageKind for Chopped {
    const KIND: &'static str = "chopped";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "A training in many parts";
    const EXAMPLE: &'static str = "";
    const OUTPUTS: &'static [OutputDoc] = Train::OUTPUTS;
}

impl Stage for Chopped {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        self.0.infer(cx)
    }

    fn config(&self) -> Tree {
        self.0.config()
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        self.0.run_in_parts(cx, |_| 1)
    }
}

static REGISTRY: Registry = Registry {
    kinds: &[Kind::of::<Train>(), Kind::of::<Chopped>(), Kind::of::<Prune>()],
    sources: &[SourceSection { section: "data", noun: "data set", kind: Kind::of::<Shape>() }],
    definitions: &[DEFINITION],
};

const HEAD: &str = "
    [study]
    name = 's'
    seed = 3
    [data.d]
    [model.m]
    hidden = [5]
    [stage.t]
    kind = 'train'
    model = 'm'
    data = 'd'
";

fn read(text: String) -> Result<Plan, String> {
    plan::read(SourceText { name: "s.toml".into(), text }, &REGISTRY)
        .map_err(|errors| errors.faults().map(|fault| fault.message.clone()).collect::<Vec<_>>().join("; "))
}

/// The configuration of the training that these keys make.
fn key(keys: &str) -> Tree {
    let plan = read(format!("{HEAD}{keys}")).expect("sound");
    let instance = plan.instances.into_iter().find(|instance| instance.section == "t");
    instance.expect("a training").config
}

fn faults(keys: &str) -> String {
    read(format!("{HEAD}{keys}")).err().expect("faults")
}

#[test]
fn what_has_no_effect_is_not_in_the_key() {
    let plain = key("epochs = 2");
    for same in [
        "epochs = 2\nbatch = 64\noptimizer = 'adam'\nseed = 3",
        "epochs = 2\noptimizer = { adam = { lr = 0.001 } }",
        "epochs = 2\nadversarial = { attack = 'pgd', eps = 0.3, share = 0.0 }",
        "epochs = 2\ncrash = 0.0",
        "epochs = 2\ncrash = { 'hidden.1' = 0 }",
    ] {
        assert_eq!(key(same), plain, "{same}");
    }
    for same in [
        "epochs = 2\nwarmup = 0\nsnapshot = 0",
        "epochs = 2\nbit_errors = { rate = 0.0 }",
        "epochs = 2\nbit_errors = { rate = 0.1, share = 0.0 }",
    ] {
        assert_eq!(key(same), plain, "{same}");
    }
    let errors = |rest: &str| key(&format!("epochs = 2\nbit_errors = {{ rate = 0.1{rest} }}"));
    assert_eq!(errors(""), errors(", word = 'int8', bits = [7, 6, 5, 4, 3, 2, 1, 0], share = 0.5"));
    assert_ne!(errors(""), errors(", bits = [7]"));
    for other in [
        "epochs = 3",
        "epochs = 2\nwarmup = 5",
        "epochs = 2\nsnapshot = 5",
        "epochs = 2\nbit_errors = { rate = 0.1 }",
        "steps = 2",
        "epochs = 2\nseed = 4",
        "epochs = 2\ncrash = 0.1",
        "epochs = 2\nl1 = 0.1",
    ] {
        assert_ne!(key(other), plain, "{other}");
    }
    let fgsm = |rest: &str| key(&format!("epochs = 2\nadversarial = {{ attack = 'fgsm', eps = 0.3{rest} }}"));
    assert_eq!(fgsm(""), fgsm(", steps = 3, random_start = false"));
    assert_ne!(fgsm(""), fgsm(", label = 'predicted'"));
}

#[test]
fn pictures_are_augmented_and_plain_vectors_are_not() {
    let pictures = HEAD.replace("[data.d]", "[data.d]\npicture = true");
    let key = |keys: &str| {
        let plan = read(format!("{pictures}epochs = 1\n{keys}")).expect("sound");
        plan.instances.into_iter().find(|instance| instance.section == "t").expect("a training").config
    };
    assert_eq!(key("augment = { crop = 0 }"), key(""));
    assert_ne!(key("augment = { crop = 1 }"), key(""));
    assert_ne!(key("augment = { flip = true }"), key("augment = { crop = 1 }"));
    let found = read(format!("{pictures}epochs = 1\naugment = {{ crop = 2 }}")).err().expect("faults");
    assert!(found.contains("`augment.crop` is 2 on pictures of 2 x 2"), "{found}");
    assert!(faults("epochs = 1\naugment = { flip = true }").contains("`augment` changes pictures"));
}

#[test]
fn weights_to_start_from_make_the_initial_draw_irrelevant() {
    let with = |init: &str| {
        let text = HEAD.replace("hidden = [5]", &format!("hidden = [5]\ninit = '{init}'"));
        let again = "[stage.again]\nkind = 'train'\nmodel = 'm'\ndata = 'd'\nstart = 't.initial'\nepochs = 1";
        let plan = read(format!("{text}epochs = 1\n{again}")).expect("sound");
        plan.instances.into_iter().filter(|i| i.source.is_none()).map(|i| i.config).collect::<Vec<_>>()
    };
    let (uniform, normal) = (with("he-uniform"), with("he-normal"));
    assert_ne!(uniform[0], normal[0]);
    assert_eq!(uniform[1], normal[1]);
}

#[test]
fn the_plan_knows_the_network_that_will_come_out() {
    let plan =
        read(format!("{HEAD}epochs = 1\n[stage.p]\nkind = 'prune'\nweights = 't'\nsparsity = 0.5")).expect("sound");
    let wanted = Mlp::new(4, &[5], 3, Activation::relu(), true).graph().expect("a network");
    for (section, output) in [("t", "weights"), ("t", "initial"), ("p", "weights"), ("p", "mask")] {
        let instance = plan.instances.iter().find(|instance| instance.section == section).expect("there");
        assert_eq!(instance.facts[output].detail::<Network>(), Some(&wanted), "{section}.{output}");
    }
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    assert!(faults("").contains("`train` needs a length"));
    assert!(faults("epochs = 1\nsteps = 1").contains("`train` has two lengths"));
    assert!(faults("epochs = 1\nearly_stopping = {}").contains("`data` holds none back"));
    assert!(faults("steps = 9\nsnapshot = 10").contains("`snapshot` is after 10 updates, and there are 9"));
    assert!(faults("steps = 9\nbit_errors = { rate = 0.1, bits = [8] }").contains("bit 8 of words of 8 bits"));
    assert!(faults("steps = 9\nbit_errors = { rate = 0.1, bits = [32], word = 'fp32' }").contains("bit 32"));
    assert!(faults("epochs = 1\ncrash = { 'hiden.1' = 0.1 }").contains("there is no layer `hiden.1`"));
    let bad_clip = "epochs = 1\nadversarial = { attack = 'fgsm', eps = 0.1, clip = [1.0, 0.0] }";
    assert!(faults(bad_clip).contains("`adversarial.clip` is no range"));
    let other = "[model.n]\nhidden = [6]\n[stage.u]\nkind = 'train'\nmodel = 'n'\ndata = 'd'\nepochs = 1\nstart = 't'";
    assert!(faults(&format!("epochs = 1\n{other}")).contains("`start` belongs to another network"));
    let regression = HEAD.replace("[data.d]", "[data.d]\nregression = true");
    let found = read(format!("{regression}epochs = 1")).err().expect("faults");
    assert!(found.contains("`data` has numbers to fit and no classes"), "{found}");
    read(format!("{regression}epochs = 1\nloss = 'mse'")).expect("sound");
    let prune = |keys: &str| faults(&format!("epochs = 1\n[stage.p]\nkind = 'prune'\nweights = 't'\n{keys}"));
    assert!(prune("").contains("`prune` needs one amount"));
    assert!(prune("rate = 0.1\nsparsity = 0.2").contains("`prune` needs one amount"));
    assert!(prune("rates = { 'conv.*' = 0.1 }").contains("there is no layer `conv.*`"));
    assert!(prune("rates = { output = 0.1 }\nscope = 'global'").contains("`rates` are by layer"));
}

#[test]
fn the_lottery_scheme_compiles_round_by_round() {
    let plan = read(
        "
        [study]
        name = 'lottery'
        [axes]
        restart = [
          { name = 'rewind', start = 'ticket[round-1].initial' },
          { name = 'random' },
          { name = 'continue', start = 'ticket[round-1].weights' },
        ]
        round = { range = [0, 3] }
        [data.d]
        [model.m]
        hidden = [5]
        [stage.ticket]
        kind = 'train'
        model = 'm'
        data = 'd'
        mask = { from = 'thin[round-1].mask', optional = true }
        start = { from = '{restart.start}', optional = true }
        steps = 10
        [stage.thin]
        kind = 'prune'
        weights = 'ticket'
        mask = { from = 'thin[round-1].mask', optional = true }
        rates = { 'hidden.*' = 0.2, output = 0.1 }
        rule = 'published'
        "
        .to_owned(),
    )
    .expect("sound");
    assert_eq!(plan.section("ticket").count(), 12);
    let first: Vec<_> =
        plan.section("ticket").filter(|(_, i)| i.at.iter().any(|at| at.axis == "round" && at.index == 0)).collect();
    // All restarts begin alike.
    assert!(first.iter().all(|(_, instance)| instance.config == first[0].1.config && instance.slots.len() == 1));
    let network: Arc<Network> = Arc::new(Mlp::new(4, &[5], 3, Activation::relu(), true).graph().expect("a network"));
    assert_eq!(first[0].1.facts["weights"].detail::<Network>(), Some(&*network));
}

/// A run of that plan on so many threads.
fn run_on(plan: &Plan, store: &MemoryStore, threads: usize) -> Outcome {
    let options = RunOptions { threads, ..RunOptions::default() };
    run(plan, store, &Machine::new(Some("test".into())), &options, &|_: Event| {}, &CancelToken::new()).expect("kept")
}

#[test]
fn weights_pruned_and_trained_again_stay_pruned_whatever_the_threads() {
    let plan = read(format!(
        "{HEAD}epochs = 3\nbatch = 16
        adversarial = {{ attack = 'pgd', eps = 0.1, steps = 3, label = 'predicted' }}
        [stage.thin]
        kind = 'prune'
        weights = 't'
        rate = 0.5
        [stage.again]
        kind = 'train'
        model = 'm'
        data = 'd'
        mask = 'thin.mask'
        start = 't.initial'
        epochs = 40
        batch = 16
        optimizer = {{ adam = {{ lr = 0.01 }} }}
        [stage.thinner]
        kind = 'prune'
        weights = 'again'
        rate = 0.5
        "
    ))
    .expect("sound");
    let digests = [1, 2].map(|threads| {
        let store = MemoryStore::new();
        let outcome = run_on(&plan, &store, threads);
        assert_eq!((outcome.failed, outcome.computed), (0, 5), "{:?}", outcome.states);
        let table = |section: &str, output: &str| {
            let index = plan.instances.iter().position(|instance| instance.section == section).expect("there");
            store.table(outcome.entries[index].as_ref().expect("computed"), output).expect("kept")
        };
        let (first, _) = mask_from_table(&table("thin", "mask")).expect("a mask");
        let (second, _) = mask_from_table(&table("thinner", "mask")).expect("a mask");
        let weights = weights_from_table(&table("again", "weights")).expect("weights");
        assert_eq!((first.kept(), second.kept(), first.total()), (17, 8, 35));
        let mut both = second.clone();
        both.intersect(&first);
        assert_eq!(both, second);
        let mut masked = weights.clone();
        first.apply(&mut masked).expect("fits");
        assert_eq!(masked, weights);
        let curve = table("again", "curve");
        let (metrics, values) = (curve.strings("metric").expect("text"), curve.f64s("value").expect("numbers"));
        let losses: Vec<f64> =
            (0..curve.rows()).filter(|&row| metrics.value(row) == "loss").map(|row| values.value(row)).collect();
        assert!(losses.len() == 40 && losses[39] < 0.7 * losses[0], "{losses:?}");
        [table("again", "weights"), table("again", "curve"), table("thinner", "layers")].map(|table| table.digest())
    });
    assert_eq!(digests[0], digests[1]);
}

/// The tables of section `t` after a run that is asked to stop when part `stop` is done, and what parts it had.
fn run_until(plan: &Plan, store: &MemoryStore, stop: Option<usize>) -> (Option<Vec<Digest>>, Vec<(usize, bool)>) {
    let (cancel, parts) = (CancelToken::new(), Mutex::new(Vec::new()));
    let sink = |event: Event| {
        if let Event::Part { index, cached, .. } = event {
            parts.lock().expect("nobody panics").push((index, cached));
            if Some(index) == stop && !cached {
                cancel.request();
            }
        }
    };
    let options = RunOptions { threads: 2, ..RunOptions::default() };
    let outcome = run(plan, store, &Machine::new(Some("test".into())), &options, &sink, &cancel).expect("kept");
    let at = plan.instances.iter().position(|instance| instance.section == "t").expect("there");
    let tables = outcome.entries[at].as_ref().map(|entry| entry.tables.values().map(|table| table.digest).collect());
    (tables, parts.into_inner().expect("nobody panics"))
}

#[test]
fn a_training_stopped_after_any_part_goes_on_to_the_same_tables() {
    let keys = "steps = 6\nbatch = 50\nevaluate_every = 2\nsnapshot = 3\nwarmup = 2\nbit_errors = { rate = 0.01 }
        adversarial = { attack = 'pgd', eps = 0.1, steps = 3, label = 'predicted' }";
    let plan = |kind: &str| read(format!("{HEAD}{keys}").replace("'train'", kind)).expect("sound");
    let (whole, parts) = run_until(&plan("'train'"), &MemoryStore::new(), None);
    assert!(whole.is_some() && parts.is_empty(), "a short training has no parts");
    let chopped = plan("'chopped'");
    for stop in 0..5 {
        let store = MemoryStore::new();
        let (none, parts) = run_until(&chopped, &store, Some(stop));
        assert_eq!((none, parts.len()), (None, stop + 1));
        let (resumed, parts) = run_until(&chopped, &store, None);
        let mut wanted = vec![(stop, true)];
        wanted.extend((stop + 1..6).map(|part| (part, false)));
        assert_eq!(parts, wanted);
        assert_eq!(resumed, whole);
    }
}

#[test]
fn another_draw_gives_other_first_weights_and_means_nothing_where_weights_are_given() {
    let again = |draw: u64| {
        let again = "[stage.again]\nkind = 'train'\nmodel = 'm'\ndata = 'd'\nstart = 't'\nepochs = 1";
        read(format!("{HEAD}epochs = 1\ndraw = {draw}\n{again}\ndraw = {draw}")).expect("sound")
    };
    let plans = [0, 1, 2].map(again);
    let configs = |section: &str| {
        let of = |plan: &Plan| plan.section(section).next().expect("there").1.config.clone();
        plans.each_ref().map(of)
    };
    assert!(configs("again").windows(2).all(|pair| pair[0] == pair[1]));
    assert!(configs("t").windows(2).all(|pair| pair[0] != pair[1]));
    let initial = plans.each_ref().map(|plan| {
        let store = MemoryStore::new();
        let outcome = run_on(plan, &store, 1);
        let at = plan.section("t").next().expect("there").0;
        store.table(outcome.entries[at].as_ref().expect("computed"), "initial").expect("kept").digest()
    });
    assert!(initial[0] != initial[1] && initial[1] != initial[2] && initial[0] != initial[2]);
}

#[test]
fn rounds_rewind_to_what_the_first_says_and_to_nothing_later() {
    for (keys, to) in [("", "snapshot"), ("rewind = 'snapshot'", "snapshot"), ("rewind = 'weights'", "weights")] {
        rounds_rewind(keys, to);
    }
}

fn rounds_rewind(keys: &str, to: &str) {
    let plan = read(format!(
        "
        [study]
        name = 'rewinding'
        [axes]
        round = {{ range = [0, 2] }}
        [data.d]
        [model.m]
        hidden = [5]
        [stage.t]
        kind = 'train'
        model = 'm'
        data = 'd'
        mask = {{ from = 'thin[round-1].mask', optional = true }}
        start = {{ from = 't[round-1].rewind', optional = true }}
        steps = 12
        snapshot = 4
        {keys}
        [stage.thin]
        kind = 'prune'
        weights = 't'
        mask = {{ from = 'thin[round-1].mask', optional = true }}
        rate = 0.3
        "
    ))
    .expect("sound");
    let store = MemoryStore::new();
    let outcome = run_on(&plan, &store, 2);
    assert_eq!(outcome.failed, 0, "{:?}", outcome.states);
    let weights = |round: usize, output: &str| {
        let label = format!("t[round={round}]");
        let at = plan.instances.iter().position(|instance| instance.label == label).expect("there");
        let entry = outcome.entries[at].as_ref().expect("computed");
        weights_from_table(&store.table(entry, output).expect("kept")).expect("weights")
    };
    let kept = weights(0, to);
    assert_eq!(weights(0, "rewind"), kept);
    assert_ne!(kept, weights(0, "initial"));
    assert_ne!(weights(0, "snapshot"), weights(0, "weights"));
    for round in 1..3 {
        let begun = weights(round, "initial");
        let mut masked = kept.clone();
        Mask::of_nonzero(&begun).apply(&mut masked).expect("fits");
        assert_eq!(begun, masked, "survivors are bit-equal to the {to} of round 0");
        assert_eq!(weights(round, "rewind"), begun);
        assert_ne!(weights(round, "snapshot"), begun);
    }
}
