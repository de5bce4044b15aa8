//! A table and its two forms, Markdown for people and JSON for programs.

use serde_json::{Map, Value, json};
use std::fmt::Write;

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    Count(usize),
    /// Milliseconds.
    Ms(f64),
    /// A ratio, shown in percent.
    Percent(f64),
    /// A ratio that says how much more or less, shown in percent with its sign.
    Change(f64),
    Number(f64),
}

impl Cell {
    fn shown(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Count(count) => count.to_string(),
            Cell::Ms(ms) if *ms < 10.0 => format!("{ms:.2}"),
            Cell::Ms(ms) => format!("{ms:.1}"),
            Cell::Percent(ratio) => format!("{:.2}", ratio * 100.0),
            Cell::Change(ratio) => {
                // Rounding makes no sign of nothing.
                let percent = (ratio * 1000.0).round() / 10.0;
                if percent == 0.0 { "0.0".into() } else { format!("{percent:+.1}") }
            }
            Cell::Number(number) => format!("{number}"),
        }
    }

    fn value(&self) -> Value {
        match self {
            Cell::Text(text) => json!(text),
            Cell::Count(count) => json!(count),
            Cell::Ms(value) | Cell::Percent(value) | Cell::Change(value) | Cell::Number(value) => {
                json!(value)
            }
        }
    }
}

/// Rows of cells under named columns.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Sentences that sum the rows up.
    pub summary: Vec<String>,
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Table {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Table { columns, rows: Vec::new(), summary: Vec::new() }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("| {} |\n", self.columns.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(self.columns.len()));
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(Cell::shown).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        for sentence in &self.summary {
            let _ = write!(text, "\n{sentence}\n");
        }
        text
    }

    /// An object for each row.
    pub(crate) fn json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let pairs = self.columns.iter().zip(row);
            Value::Object(pairs.map(|(c, cell)| (c.clone(), cell.value())).collect::<Map<_, _>>())
        };
        let rows: Vec<Value> = self.rows.iter().map(object).collect();
        json!({ "rows": rows, "summary": self.summary })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_two_forms() {
        let mut table = Table::new(&["network", "ms", "less %"]);
        let text = |t: &str| Cell::Text(t.into());
        table.rows.push(vec![text("a"), Cell::Ms(12.345), Cell::Change(-0.2)]);
        table.rows.push(vec![text("b"), Cell::Ms(1.0), Cell::Change(-0.0004)]);
        let expected = "| network | ms | less % |\n|---|---|---|\n\
                        | a | 12.3 | -20.0 |\n| b | 1.00 | 0.0 |\n";
        assert_eq!(table.markdown(), expected);
        assert_eq!(table.json()["rows"][0]["less %"], json!(-0.2));
    }
}
