//! Why a figure cannot be drawn, and what to do about it.

use arrow_schema::ArrowError;
use duress_cache::TableError;

/// Why a figure cannot be drawn; fits behind "failed to".
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// A key of the figure names nothing that is there.
    #[error(
        "find `{name}`, which `{key}` of the figure names: the table has the columns {}{}; {}",
        listed(.columns), metrics_too(.metrics), meant(.near.as_deref())
    )]
    Unknown {
        /// The key of the figure.
        key: &'static str,
        /// What it names.
        name: String,
        /// The columns there are.
        columns: Vec<String>,
        /// The metrics there are, where `y` was looked for among them too.
        metrics: Vec<String>,
        /// What was probably meant.
        near: Option<String>,
    },
    /// A column that holds lists or bytes.
    #[error(
        "plot column `{column}`, which `{key}` names: it holds {found}; name a column of numbers, text or booleans"
    )]
    Unplottable {
        /// The key of the figure.
        key: &'static str,
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
    /// `y` (or `x` of a scatter plot) is not a column of numbers.
    #[error(
        "measure column `{column}`, which `{key}` names: it holds text; name a column of numbers, or use it as `series`"
    )]
    NotNumbers {
        /// The key of the figure.
        key: &'static str,
        /// The column.
        column: String,
    },
    /// The table has no rows.
    #[error("draw a table without rows; look at it with `duress table`, and at what the stage was given to do")]
    NoRows,
    /// No row meets the conditions.
    #[error("find rows to draw: none meets `where`{}; change the conditions", explained(.conditions))]
    NothingSelected {
        /// Conditions that no row meets, each with what its column holds; empty where only all together meet none.
        conditions: Vec<(String, String)>,
    },
    /// Every value is null.
    #[error("draw `{y}`: none of its {rows} rows has a value{}; plot another metric, or change `where`", said(.statuses))]
    NoValues {
        /// The metric or column.
        y: String,
        /// How many rows were picked.
        rows: usize,
        /// What the rows' `status` says, with how often.
        statuses: Vec<(String, usize)>,
    },
    /// Nothing is above 0.
    #[error("draw `{name}` on a logarithmic axis: none of its values is above 0; drop \"{key}\" from `log`")]
    NotPositive {
        /// `x` or `y`.
        key: &'static str,
        /// The quantity.
        name: String,
    },
    /// More than anyone can tell apart.
    #[error(
        "draw {count} {what}: no more than {most} can be told apart; pick some with `where`, or name another `{key}`"
    )]
    TooMany {
        /// `panels`, `series` or `places along x`.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
        /// The key of the figure.
        key: &'static str,
    },
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A column cannot be read.
    #[error("read the table: {0}; compute it again")]
    Arrow(#[from] ArrowError),
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn metrics_too(metrics: &[String]) -> String {
    if metrics.is_empty() { String::new() } else { format!(" and the metrics {}", listed(metrics)) }
}

fn meant(near: Option<&str>) -> String {
    near.map_or("name one of them".to_owned(), |near| format!("did you mean `{near}`?"))
}

fn explained(conditions: &[(String, String)]) -> String {
    let parts: Vec<String> =
        conditions.iter().map(|(wanted, there)| format!("; `{wanted}` matches nothing, there is {there}")).collect();
    parts.concat()
}

fn said(statuses: &[(String, usize)]) -> String {
    if statuses.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    format!(" (status {})", parts.join(", "))
}
