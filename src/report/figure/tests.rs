//! Figures from end to end: tables built here, one golden file, and a gallery to look at.

use duress_cache::{Cell, ColumnSpec, Table, TableBuilder};
use duress_engine::spec::{Band, Condition, Figure, FigureKind, Filter, Node, Span, Spanned, TableName, Value};

use super::*;

fn spanned(name: &str) -> Spanned<String> {
    Spanned { value: name.to_owned(), span: Span::default() }
}

pub(super) fn figure(x: &str, y: &str, series: &[&str], panel: &[&str]) -> Figure {
    Figure {
        name: "robustness".into(),
        span: Span::default(),
        table: TableName { section: "attacked".into(), output: "results", span: Span::default() },
        x: spanned(x),
        y: spanned(y),
        series: series.iter().map(|name| spanned(name)).collect(),
        panel: panel.iter().map(|name| spanned(name)).collect(),
        band: Band::None,
        title: None,
        filter: Filter::default(),
        log_x: false,
        log_y: false,
        kind: FigureKind::Line,
    }
}

pub(super) fn only(column: &str, values: &[Value]) -> Filter {
    let values = values.iter().map(|value| Node { value: value.clone(), span: Span::default() }).collect();
    Filter(vec![Condition { column: spanned(column), values }])
}

fn svg(figure: &Figure, table: &Table) -> String {
    render(figure, table, &Orders::new()).expect("can be drawn")
}

/// Three seeds, some sparsities, attacks and epsilons, and a robust accuracy that falls as one expects.
pub(super) fn attacked(attacks: &[&str], sparsities: &[f64], seeds: i64) -> Table {
    let mut table = TableBuilder::new()
        .text("attack")
        .float("sparsity")
        .integer("seed")
        .column(ColumnSpec::float("eps").unit("pixel intensity"))
        .text("metric")
        .column(ColumnSpec::float("value").nullable().unit("1"))
        .column(ColumnSpec::float("lower").nullable())
        .column(ColumnSpec::float("upper").nullable())
        .text("status")
        .integer("n")
        .text("interval");
    for (a, attack) in attacks.iter().enumerate() {
        for &sparsity in sparsities {
            for seed in 0..seeds {
                for eps in [0.0, 0.02, 0.05, 0.1, 0.2, 0.3] {
                    let wobble = ((seed * 7 + (eps * 100.0) as i64 * 3 + a as i64) % 5 - 2) as f64 * 0.012;
                    let fall = (-(eps / (0.05 + 0.12 * a as f64)) * (1.0 + sparsity)).exp();
                    let value = (0.97 - 0.06 * sparsity * sparsity) * fall + wobble * fall;
                    for (metric, value) in [("robust_accuracy", Some(value)), ("attack_success_rate", None::<f64>)] {
                        let cells: [Cell; 11] = [
                            (*attack).into(),
                            sparsity.into(),
                            seed.into(),
                            eps.into(),
                            metric.into(),
                            value.into(),
                            value.map(|value| value - 0.02).into(),
                            value.map(|value| value + 0.02).into(),
                            if value.is_some() { "ok" } else { "no-clean-correct" }.into(),
                            360_i64.into(),
                            "wilson-95".into(),
                        ];
                        table.push(cells).expect("fits the columns");
                    }
                }
            }
        }
    }
    table.finish().expect("is a table")
}

/// `kind`, `x`, `y`, `series` and `panel` over a plain table of two columns of text and two of numbers.
pub(super) fn plain(rows: &[(&str, &str, f64, Option<f64>)]) -> Table {
    let mut table = TableBuilder::new()
        .text("layer")
        .text("model")
        .float("bits")
        .column(ColumnSpec::float("loss").nullable().unit("nats"));
    for &(layer, model, bits, loss) in rows {
        table.push([layer.into(), model.into(), bits.into(), loss.into()]).expect("fits the columns");
    }
    table.finish().expect("is a table")
}

fn gallery() -> Vec<(&'static str, Figure, Table)> {
    let two = attacked(&["fgsm", "gaussian"], &[0.0, 0.5, 0.8, 0.9], 3);
    let mut all = Vec::new();
    let mut add = |name, figure: Figure, table: &Table| all.push((name, figure, table.clone()));
    let base = || figure("eps", "robust_accuracy", &["sparsity"], &["attack"]);
    add("quickstart", Figure { band: Band::Ci95, ..base() }, &two);
    add("sd", Figure { band: Band::Sd, title: Some("One standard deviation".into()), ..base() }, &two);
    add("one-series", Figure { band: Band::Ci95, series: vec![], panel: vec![], ..base() }, &two);
    add("one-x", Figure { band: Band::Ci95, filter: only("eps", &[Value::Float(0.1)]), ..base() }, &two);
    add("own-interval", Figure { band: Band::Ci95, ..base() }, &attacked(&["fgsm", "pgd"], &[0.0, 0.9], 1));
    add("log-x", Figure { band: Band::Ci95, log_x: true, ..base() }, &two);
    add("log-y", Figure { band: Band::Ci95, log_y: true, ..base() }, &two);
    add("bars", Figure { kind: FigureKind::Bar, band: Band::Ci95, ..base() }, &two);
    add("heatmap", Figure { kind: FigureKind::Heatmap, ..base() }, &two);
    add("scatter", Figure { kind: FigureKind::Scatter, ..base() }, &two);
    let many = ["fgsm", "pgd", "gaussian", "uniform", "deepfool", "square", "one-pixel", "apgd-dlr"];
    add("eight-panels", Figure { band: Band::Ci95, ..base() }, &attacked(&many, &[0.0, 0.5, 0.9], 3));
    add("five-panels", Figure { band: Band::Sd, ..base() }, &attacked(&many[..5], &[0.0, 0.5, 0.9], 3));
    add(
        "two-keys",
        figure("eps", "robust_accuracy", &["attack"], &["seed", "sparsity"]),
        &attacked(&many[..3], &[0.0, 0.5, 0.9], 2),
    );
    let grid: Vec<f64> = (0..12).map(|i| f64::from(i) / 12.0).collect();
    add("twelve-numbers", Figure { panel: vec![], band: Band::Ci95, ..base() }, &attacked(&["fgsm"], &grid, 3));
    let names: Vec<String> = (0..12).map(|i| format!("attack number {i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    add("twelve-names", figure("eps", "robust_accuracy", &["attack"], &[]), &attacked(&names, &[0.5], 1));
    let long = "a remarkably long name of a series that no legend has room for, <b>with markup</b> & more";
    add(
        "long-labels",
        Figure {
            title: Some(format!("A title that goes on: {long}, again {long}")),
            ..figure("eps", "robust_accuracy", &["attack", "sparsity"], &["attack"])
        },
        &attacked(&[long, "fgsm"], &[0.0, 0.5], 3),
    );
    let layers = plain(&[
        ("hidden.1", "bit-flip", 3.0, Some(0.2)),
        ("hidden.1", "bit-flip", 3.0, Some(0.4)),
        ("hidden.2", "bit-flip", 3.0, Some(0.7)),
        ("hidden.10", "bit-flip", 3.0, Some(-0.3)),
        ("output", "bit-flip", 3.0, Some(1.5)),
        ("hidden.1", "stuck-at-1", 4.0, Some(0.3)),
        ("hidden.1", "stuck-at-1", 4.0, Some(0.5)),
        ("hidden.2", "stuck-at-1", 4.0, None),
        ("hidden.10", "stuck-at-1", 4.0, Some(0.9)),
        ("output", "stuck-at-1", 4.0, Some(1.1)),
    ]);
    add("names-line", Figure { band: Band::Sd, ..figure("layer", "loss", &["model"], &[]) }, &layers);
    add(
        "names-bar",
        Figure { band: Band::Sd, kind: FigureKind::Bar, ..figure("layer", "loss", &["model"], &[]) },
        &layers,
    );
    add("names-heatmap", Figure { kind: FigureKind::Heatmap, ..figure("layer", "loss", &["model"], &[]) }, &layers);
    let half_empty = figure("bits", "loss", &["model"], &["layer"]);
    let gaps =
        plain(&[("a", "m", 1.0, Some(0.5)), ("a", "m", 2.0, Some(0.6)), ("b", "m", 1.0, None), ("b", "n", 2.0, None)]);
    add("empty-panel", half_empty, &gaps);
    let many: Vec<String> = (0..40).map(|i| format!("layer-with-long-name.{i}")).collect();
    let many: Vec<_> = many
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), "m", i as f64, Some((i as f64 * 0.3).sin().abs())))
        .collect();
    add("forty-bars", Figure { kind: FigureKind::Bar, ..figure("layer", "loss", &[], &[]) }, &plain(&many));
    add("thirty-two-bits", Figure { kind: FigureKind::Bar, ..figure("bits", "loss", &[], &[]) }, &plain(&many[..32]));
    add("whole-numbers", figure("bits", "loss", &[], &[]), &plain(&many[..5]));
    let curve: Vec<_> = (0..2000)
        .map(|i| {
            ("a", "m", f64::from(i * 25), Some(2.3 * (-f64::from(i) / 300.0).exp() + 0.01 * f64::from(i * 7919 % 13)))
        })
        .collect();
    add("curve", Figure { log_y: true, ..figure("bits", "loss", &["model"], &[]) }, &plain(&curve));
    let tiny: Vec<_> = (0..9).map(|i| ("a", "m", 10.0_f64.powi(-9 + i), Some(3.7e-6 * f64::from(i + 1)))).collect();
    add("decades", Figure { log_x: true, ..figure("bits", "loss", &[], &[]) }, &plain(&tiny));
    add("single-point", figure("bits", "loss", &[], &[]), &plain(&[("a", "m", 3.0, Some(0.25))]));
    all
}

/// Run it and look: `cargo test --lib figure::tests::draw -- --ignored`, then `target/figures/`.
#[test]
#[ignore = "draws a gallery for people to look at"]
fn draw_the_gallery() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/figures");
    std::fs::create_dir_all(&folder).expect("target can be written to");
    for (name, figure, table) in gallery() {
        std::fs::write(folder.join(format!("{name}.svg")), svg(&figure, &table)).expect("target can be written to");
    }
}

#[test]
fn a_small_figure_is_drawn_as_it_was() {
    let rows = [
        ("hidden.1", "bit-flip", 1.0, Some(0.25)),
        ("hidden.1", "bit-flip", 1.0, Some(0.75)),
        ("hidden.1", "bit-flip", 2.0, Some(1.5)),
        ("hidden.1", "a<b", 1.0, None),
        ("hidden.1", "a<b", 2.0, Some(1.0)),
    ];
    let figure = Figure { band: Band::Sd, ..figure("bits", "loss", &["model"], &["layer"]) };
    insta::assert_snapshot!(svg(&figure, &plain(&rows)));
}

#[test]
fn the_order_of_rows_does_not_change_a_byte() {
    for (name, figure, table) in gallery() {
        let rows = table.one_batch().expect("few rows");
        let back: Vec<_> = (0..rows.num_rows()).rev().map(|row| rows.slice(row, 1)).collect();
        let back = Table::new(table.schema().clone(), back).expect("the same rows");
        assert!(svg(&figure, &table) == svg(&figure, &back), "{name} depends on the order of rows");
    }
}

#[test]
fn every_figure_is_sound_xml_without_stray_numbers() {
    for (name, figure, table) in gallery() {
        let text = svg(&figure, &table);
        assert_eq!(unbalanced(&text), None, "{name}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name} has a coordinate that is no number");
        assert!(!text.contains("<b>") && !text.contains("& "), "{name} has markup of the table in it");
    }
}

/// The first tag that is closed without being open, or open at the end.
fn unbalanced(text: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for tag in text.split('<').skip(1) {
        let (tag, _) = tag.split_once('>')?;
        let name = tag.trim_start_matches('/').split([' ', '/']).next()?;
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return Some(name.to_owned());
            }
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    open.pop().map(str::to_owned)
}

#[test]
fn axes_of_text_keep_the_order_of_the_spec_and_means_say_what_they_are_over() {
    let table = attacked(&["fgsm", "pgd"], &[0.0], 2);
    let orders = Orders::from([
        ("attack".to_owned(), vec!["pgd".to_owned(), "fgsm".to_owned()]),
        ("seed".to_owned(), vec!["0".to_owned(), "1".to_owned()]),
    ]);
    let text = render(&figure("eps", "robust_accuracy", &[], &["attack"]), &table, &orders).expect("can be drawn");
    let place = |name: &str| text.find(name).expect("a panel");
    assert!(place("attack = pgd") < place("attack = fgsm"));
    assert!(text.contains("Points: means of 2 rows over seed."), "{text}");
}

#[test]
fn parts_are_not_mixed_with_the_whole_they_are_parts_of() {
    let mut table = TableBuilder::new()
        .text("metric")
        .column(ColumnSpec::text("layer").nullable())
        .column(ColumnSpec::integer("bit").nullable())
        .float("value");
    let rows = [
        (None, None, 5.0),
        (Some("hidden"), None, 2.0),
        (Some("output"), None, 8.0),
        (None, Some(0_i64), 1.0),
        (None, Some(31), 9.0),
    ];
    for (layer, bit, value) in rows {
        let layer: Cell = layer.map(str::to_owned).into();
        table.push(["loss".into(), layer, bit.into(), value.into()]).expect("fits the columns");
    }
    let table = table.finish().expect("is a table");
    let shown = |x: &str| {
        let figure = figure(x, "loss", &[], &[]);
        let chart = reduce::reduce(data::select(&figure, &table, &Orders::new()).expect("can be picked"), &figure);
        assert_eq!(chart.missing, 0);
        chart.points().map(|point| point.y).collect::<Vec<_>>()
    };
    assert_eq!(shown("layer"), [2.0, 8.0]);
    assert_eq!(shown("bit"), [1.0, 9.0]);
    assert_eq!(shown("metric"), [5.0]);
}

fn error(figure: &Figure, table: &Table) -> String {
    render(figure, table, &Orders::new()).expect_err("cannot be drawn").to_string()
}

#[test]
fn names_that_are_not_there_are_told_with_what_is_and_what_was_meant() {
    let table = attacked(&["fgsm"], &[0.0], 1);
    let columns = "`attack`, `sparsity`, `seed`, `eps`, `metric`, `value`, `lower`, `upper`, `status`, `n`, `interval`";
    assert_eq!(
        error(&figure("epz", "robust_accuracy", &[], &[]), &table),
        format!("find `epz`, which `x` of the figure names: the table has the columns {columns}; did you mean `eps`?")
    );
    assert_eq!(
        error(&figure("eps", "robust_acuracy", &[], &[]), &table),
        format!(
            "find `robust_acuracy`, which `y` of the figure names: the table has the columns {columns} \
             and the metrics `attack_success_rate`, `robust_accuracy`; did you mean `robust_accuracy`?"
        )
    );
}

#[test]
fn an_empty_selection_says_which_condition_empties_it() {
    let table = attacked(&["fgsm"], &[0.0, 0.5], 1);
    let figure =
        Figure { filter: only("sparsity", &[Value::Float(0.4)]), ..figure("eps", "robust_accuracy", &[], &[]) };
    assert_eq!(
        error(&figure, &table),
        "find rows to draw: none meets `where`; `sparsity = 0.4` matches nothing, there is 0, 0.5; change the conditions"
    );
    assert_eq!(
        error(&figure, &plain(&[])),
        "draw a table without rows; look at it with `duress table`, and at what the stage was given to do"
    );
}

#[test]
fn what_cannot_be_drawn_says_why_and_what_to_do() {
    let table = attacked(&["fgsm"], &[0.0], 2);
    assert_eq!(
        error(&figure("eps", "attack_success_rate", &[], &[]), &table),
        "draw `attack_success_rate`: none of its 12 rows has a value (status no-clean-correct: 12); \
         plot another metric, or change `where`"
    );
    assert_eq!(
        error(&figure("eps", "attack", &[], &[]), &table),
        "measure column `attack`, which `y` names: it holds text; name a column of numbers, or use it as `series`"
    );
    let negative = plain(&[("a", "m", -1.0, Some(0.0))]);
    assert_eq!(
        error(
            &Figure { log_x: true, ..figure("bits", "loss", &[], &[]) },
            &plain(&[("a", "m", -1.0, Some(1.0)), ("a", "m", 0.0, Some(1.0))])
        ),
        "draw `bits` on a logarithmic axis: none of its values is above 0; drop \"x\" from `log`"
    );
    assert_eq!(
        error(&Figure { log_y: true, ..figure("bits", "loss", &[], &[]) }, &negative),
        "draw `loss` on a logarithmic axis: none of its values is above 0; drop \"y\" from `log`"
    );
    let many: Vec<String> = (0..40).map(|index| format!("m{index}")).collect();
    let many: Vec<_> = many.iter().map(|model| ("a", model.as_str(), 1.0, Some(1.0))).collect();
    assert_eq!(
        error(&figure("bits", "loss", &["model"], &[]), &plain(&many)),
        "draw 40 series: no more than 32 can be told apart; pick some with `where`, or name another `series`"
    );
}
