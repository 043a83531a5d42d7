//! CSV, Markdown and LaTeX from a table of strings.

use std::fmt::Write;

use super::cell::Cells;

pub(super) fn csv(cells: &Cells) -> String {
    let line = |row: &[String]| {
        let row: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        row.join(",") + "\n"
    };
    let mut out = line(&cells.header);
    out.extend(cells.rows.iter().map(|row| line(row)));
    out
}

fn csv_cell(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

pub(super) fn markdown(cells: &Cells) -> String {
    let escape = |row: &[String]| -> Vec<String> {
        row.iter().map(|cell| cell.replace('\\', "\\\\").replace('|', "\\|").replace('\n', "<br>")).collect()
    };
    let header = escape(&cells.header);
    let rows: Vec<Vec<String>> = cells.rows.iter().map(|row| escape(row)).collect();
    let wide = |column: usize| {
        let all = std::iter::once(&header).chain(&rows);
        all.map(|row| row[column].chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..header.len()).map(wide).collect();
    let mut out = markdown_line(&header, &widths, &cells.numeric);
    let rule = widths
        .iter()
        .zip(&cells.numeric)
        .map(|(&width, &right)| if right { format!("{}:", "-".repeat(width - 1)) } else { "-".repeat(width) });
    let _ = writeln!(out, "| {} |", rule.collect::<Vec<_>>().join(" | "));
    out.extend(rows.iter().map(|row| markdown_line(row, &widths, &cells.numeric)));
    out
}

fn markdown_line(row: &[String], widths: &[usize], numeric: &[bool]) -> String {
    let padded = row
        .iter()
        .zip(widths)
        .zip(numeric)
        .map(|((cell, &width), &right)| if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
    format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
}

pub(super) fn latex(cells: &Cells) -> String {
    let columns: String = cells.numeric.iter().map(|&right| if right { 'r' } else { 'l' }).collect();
    let line = |row: &[String]| {
        let row: Vec<String> = row.iter().map(|cell| latex_cell(cell)).collect();
        format!("{} \\\\\n", row.join(" & "))
    };
    let mut out = format!("\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n", line(&cells.header));
    out.extend(cells.rows.iter().map(|row| line(row)));
    out.push_str("\\bottomrule\n\\end{tabular}\n");
    out
}

fn latex_cell(cell: &str) -> String {
    let mut out = String::new();
    for letter in cell.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', letter]),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '\n' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Cells {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        Cells {
            header: row(["metric", "value", "n"]),
            numeric: vec![false, true, true],
            rows: vec![row(["a_b|c", "0.5", "10"]), row(["say \"x\", y", "", "7"])],
        }
    }

    #[test]
    fn csv_quotes_what_needs_it_and_leaves_nulls_empty() {
        assert_eq!(csv(&cells()), "metric,value,n\na_b|c,0.5,10\n\"say \"\"x\"\", y\",,7\n");
    }

    #[test]
    fn markdown_aligns_numbers_to_the_right_and_escapes_pipes() {
        insta::assert_snapshot!(markdown(&cells()), @r#"
        | metric     | value |   n |
        | ---------- | ----: | --: |
        | a_b\|c     |   0.5 |  10 |
        | say "x", y |       |   7 |
        "#);
    }

    #[test]
    fn latex_escapes_its_special_characters() {
        insta::assert_snapshot!(latex(&cells()), @r#"
        \begin{tabular}{lrr}
        \toprule
        metric & value & n \\
        \midrule
        a\_b|c & 0.5 & 10 \\
        say "x", y &  & 7 \\
        \bottomrule
        \end{tabular}
        "#);
    }
}
