//! Columns of text under headings, for lists on a terminal.

use super::session::Paint;

/// Rows of text that are printed in columns; columns that stay empty are left out.
pub(super) struct Columns<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    /// Columns with these headings; a `>` in front puts a column to the right.
    pub(super) fn new(head: &[&'static str; N]) -> Self {
        Self { head: *head, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// The rows below their headings, indented by two.
    pub(super) fn print(&self, paint: Paint) -> String {
        let used: Vec<usize> = (0..N).filter(|&column| self.rows.iter().any(|row| !row[column].is_empty())).collect();
        let wide = |column: usize| {
            let head = self.head[column].trim_start_matches('>').chars().count();
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(head)
        };
        let widths: Vec<usize> = (0..N).map(wide).collect();
        let line = |cell: &dyn Fn(usize) -> String| {
            let cells = used.iter().map(|&column| {
                let (text, width) = (cell(column), widths[column]);
                if self.head[column].starts_with('>') { format!("{text:>width$}") } else { format!("{text:<width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head = line(&|column| self.head[column].trim_start_matches('>').to_owned());
        let mut out = if head.is_empty() { String::new() } else { format!("  {}\n", paint.dim(&head)) };
        for row in &self.rows {
            out.push_str("  ");
            out.push_str(&line(&|column| row[column].clone()));
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Stream;

    #[test]
    fn empty_columns_are_left_out_and_numbers_stand_right() {
        let mut columns = Columns::new(&["name", "none", ">count"]);
        columns.row(["a".into(), String::new(), "5".into()]);
        columns.row(["long name".into(), String::new(), "1000".into()]);
        let paint = Paint::of(Stream { terminal: false, color: false });
        assert_eq!(columns.print(paint), "  name       count\n  a              5\n  long name   1000\n");
    }
}
