//! Tables for the terminal.

/// Lines of `rows`, each column as wide as its widest cell. A cell may have several lines.
pub(crate) fn render<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            let widest = cell.lines().map(|line| line.chars().count()).max();
            *width = (*width).max(widest.unwrap_or(0));
        }
    }
    let mut text = String::new();
    for row in rows {
        let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(0);
        for number in 0..height {
            let mut line = String::new();
            for (width, cell) in widths.iter().zip(row) {
                let cell = cell.lines().nth(number).unwrap_or("");
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another() {
        let rows = [["NAME", "STATE"], ["a", "used"], ["läng", "one\ntwo"]].map(|row| row.map(str::to_owned));
        assert_eq!(render(&rows), "NAME  STATE\na     used\nläng  one\n      two\n");
    }
}
