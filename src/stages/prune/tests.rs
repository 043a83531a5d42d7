use super::*;
use crate::stages::testing::{infer, key};

fn faults(keys: &str) -> Vec<String> {
    let (_, faults) = infer::<Prune>(&format!("weights = \"net\"\n{keys}"), 4);
    faults.into_iter().map(|fault| format!("{}: {}", fault.code, fault.message)).collect()
}

fn tree(keys: &str) -> Tree {
    key::<Prune>(&format!("weights = \"net\"\n{keys}"))
}

#[test]
fn what_cannot_be_pruned_is_said_at_plan_time() {
    let sound = [
        "sparsity = 0.5",
        "data = \"rows\"\ncriterion = \"snip\"\nrate = 0.1\nrounds = 3\nschedule = \"linear\"",
        "criterion = \"synflow\"\nsparsity = 0.9\nprotect = [\"output\"]",
        "unit = { filter = { norm = \"l1\" } }\nrates = { \"hidden.*\" = 0.2 }",
        "sparsity = 0.9\nrounds = 8\nround = 8\nschedule = \"cubic\"",
    ];
    for keys in sound {
        assert_eq!(faults(keys), Vec::<String>::new(), "{keys}");
    }
    for (keys, wanted) in [
        ("", "one-amount: `prune` needs one amount to remove"),
        ("rate = 0.1\nlike = \"other\"", "one-amount: `prune` needs one amount to remove"),
        ("like = \"other\"\nscope = \"global\"", "conflict: `like` is by layer, `scope` is not"),
        ("criterion = \"grasp\"\nrate = 0.1", "conflict: this criterion takes gradients, and there is no `data`"),
        ("rate = 0.1\nablation = \"reinitialise\"", "conflict: `reinitialise` draws weights, and there is no `model`"),
        ("rate = 0.1\nprotect = [\"head\"]", "unknown-layer: there is no layer `head`"),
        ("rate = 0.1\nround = 1", "conflict: `round` is one of those towards a `sparsity`"),
        ("sparsity = 0.1\nrounds = 3\nround = 4", "wrong-range: there are fewer `rounds`"),
        ("rate = 0.1\nrounds = 3\nrule = \"published\"", "conflict: the published rule removes all at once"),
    ] {
        assert_eq!(faults(keys), [wanted], "{keys}");
    }
    let (_, wide) = infer::<Prune>("weights = \"net\"\ndata = \"rows\"\ncriterion = \"snip\"\nrate = 0.1", 9);
    assert_eq!(wide[0].message, "`data` has 9 features but the network of `weights` reads 4");
}

#[test]
fn what_has_no_effect_is_in_no_key() {
    let plain = tree("sparsity = 0.5");
    for same in ["scope = \"layer\"", "rounds = 5", "schedule = \"cubic\"", "seed = 7", "per_class = 3", "protect = []"]
    {
        assert_eq!(tree(&format!("sparsity = 0.5\n{same}")), plain, "{same}");
    }
    for other in ["scope = \"global\"", "unit = \"filter\"", "ablation = \"invert\"", "rounds = 5\nround = 2"] {
        assert_ne!(tree(&format!("sparsity = 0.5\n{other}")), plain, "{other}");
    }
    let flow = tree("criterion = \"synflow\"\nsparsity = 0.5");
    assert_eq!(flow, tree("criterion = \"synflow\"\nsparsity = 0.5\nrounds = 100\nscope = \"global\"\nseed = 3"));
    assert_ne!(flow, tree("criterion = \"synflow\"\nsparsity = 0.5\nrounds = 10"));
    assert_ne!(flow, tree("criterion = \"synflow\"\nsparsity = 0.5\nschedule = \"linear\""));
}

#[test]
fn the_table_says_what_each_layer_kept_and_has_no_number_where_there_is_none() {
    let count = |layer: &str, kept: usize| LayerCount {
        layer: layer.to_owned(),
        weights: 8,
        kept,
        removed_now: 8 - kept,
        macs: 80,
        macs_kept: 10 * kept as u64,
    };
    let counts = [count("a", 2), count("b", 0)];
    let whole = LayerCount { weights: 16, kept: 2, removed_now: 14, macs: 160, macs_kept: 20, ..count("", 0) };
    let table = layers(&counts, &whole).unwrap();
    let (metrics, values) = (table.strings("metric").unwrap(), table.f64s("value").unwrap());
    let column = |wanted: &str| -> Vec<Option<f64>> {
        let rows = (0..table.rows()).filter(|&row| metrics.value(row) == wanted);
        rows.map(|row| values.iter().nth(row).flatten()).collect()
    };
    assert_eq!(column("density"), [Some(0.25), Some(0.0), Some(0.125)]);
    assert_eq!(column("compression"), [Some(4.0), None, Some(8.0)]);
    assert_eq!(column("mac_ratio"), [Some(4.0), None, Some(8.0)]);
    assert_eq!(column("macs"), [Some(20.0), Some(0.0), Some(20.0)]);
    assert_eq!(column("collapsed"), [Some(0.0), Some(1.0), Some(1.0)]);
}
