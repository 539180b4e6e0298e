//! Lines of cells as a table.

/// Lines of cells as a table: the first column to the left, numbers to the right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    // An address has more dots than a number.
    let is_number = |cell: &str| {
        cell.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.' | ' ' | '%'))
            && cell.matches('.').count() <= 1
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| {
            if is_number(cell) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
