//! What is printed: figures and tables.

use meetnet_demo::load::expect::SCALE;

/// Writes a figure that is kept in parts of [`SCALE`], with as many decimals as it needs.
pub(super) fn decimal(parts: i64) -> String {
    let sign = if parts < 0 { "-" } else { "" };
    let (parts, scale) = (parts.unsigned_abs(), SCALE.unsigned_abs());
    let text = format!("{sign}{}.{:04}", parts / scale, parts % scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes rows of cells under each other, each line indented; the first row is the head.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("  {cell:<width$}"))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
