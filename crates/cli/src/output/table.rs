//! Tables that fit the terminal, and plain columns where there is none.

use comfy_table::{Attribute, Cell as ComfyCell, Color, ColumnConstraint, ContentArrangement};

use super::text::clean;

/// How a text is meant, shown as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// On its way, or wants a look.
    Waiting,
    /// Of little interest.
    Dim,
    /// A heading.
    Bold,
}

impl Tone {
    /// The tone of a status word of the contract, if it has one.
    pub fn of_status(word: &str) -> Option<Self> {
        match word {
            "succeeded" | "active" | "ok" | "yes" | "verified" => Some(Self::Good),
            "failed" | "disabled" | "no" | "http_error" | "timeout" | "unreachable"
            | "tls_error" | "blocked" | "protocol_error" => Some(Self::Bad),
            "pending" | "held" | "paused" | "warn" => Some(Self::Waiting),
            "discarded" => Some(Self::Dim),
            _ => None,
        }
    }

    /// The text with this tone's colour, for lines outside tables.
    pub fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Waiting => "33",
            Self::Dim => "2",
            Self::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    fn apply(self, cell: ComfyCell) -> ComfyCell {
        match self {
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Bad => cell.fg(Color::DarkRed),
            Self::Waiting => cell.fg(Color::DarkYellow),
            Self::Dim => cell.add_attribute(Attribute::Dim),
            Self::Bold => cell.add_attribute(Attribute::Bold),
        }
    }
}

/// How a column behaves when room is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Always there, never wrapped: ids, numbers, times.
    Whole,
    /// Always there, wrapped where needed: URLs, names, explanations.
    Wrapped,
    /// Left out first: it is nice to have.
    Extra,
}

/// A column: its heading and how it behaves when room is short.
#[derive(Debug, Clone)]
pub struct Column {
    heading: String,
    fit: Fit,
}

impl Column {
    /// A column that is never wrapped or left out.
    pub fn whole(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            fit: Fit::Whole,
        }
    }

    /// A column whose text may take several lines.
    pub fn wrapped(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            fit: Fit::Wrapped,
        }
    }

    /// A column that is left out where there is no room for it.
    pub fn extra(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            fit: Fit::Extra,
        }
    }
}

/// One field of a table.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// A text with a tone.
    pub fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        Self {
            tone: Some(tone),
            ..Self::from(text.as_ref())
        }
    }
}

/// A plain text; words of the contract (`succeeded`, `paused`, …) get their tone.
impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        let text = if text.is_empty() { "-" } else { text };
        Self {
            text: clean(text).into_owned(),
            tone: Tone::of_status(text),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

/// Rows under headings.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// Fewest characters that a wrapped column is squeezed to.
const NARROWEST: u16 = 16;
/// Spaces after each column.
const GAP: u16 = 2;

impl Table {
    /// A table without rows.
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; it has as many cells as there are columns.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, and the headings of columns that had to be left out.
    pub(super) fn render(self, width: Option<u16>, color: bool) -> (String, Vec<String>) {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(self.columns.iter().map(|column| {
            let cell = ComfyCell::new(clean(&column.heading));
            if color { Tone::Bold.apply(cell) } else { cell }
        }));
        for row in self.rows {
            table.add_row(row.into_iter().map(|cell| {
                let comfy = ComfyCell::new_owned(cell.text);
                match cell.tone {
                    Some(tone) if color => tone.apply(comfy),
                    _ => comfy,
                }
            }));
        }
        if color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let hidden = width.map_or_else(Vec::new, |width| fit(&mut table, &self.columns, width));
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let lines: Vec<_> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        (lines.join("\n"), hidden)
    }
}

/// Leaves out extra columns, the last first, until the rest has room, and lets the wrapped ones
/// share what remains.
fn fit(table: &mut comfy_table::Table, columns: &[Column], width: u16) -> Vec<String> {
    let natural = table.column_max_content_widths();
    let least = |index: usize| {
        let full = natural.get(index).copied().unwrap_or(0);
        let needed = if columns[index].fit == Fit::Wrapped {
            full.min(NARROWEST)
        } else {
            full
        };
        needed.saturating_add(GAP)
    };
    let mut needed: u32 = (0..columns.len())
        .map(|index| u32::from(least(index)))
        .sum();
    let mut hidden = Vec::new();
    for (index, column) in columns.iter().enumerate().rev() {
        if needed > u32::from(width) && column.fit == Fit::Extra {
            needed -= u32::from(least(index));
            hidden.push(column.heading.clone());
            if let Some(column) = table.column_mut(index) {
                column.set_constraint(ColumnConstraint::Hidden);
            }
        }
    }
    hidden.reverse();
    table
        .set_width(width)
        .set_content_arrangement(ContentArrangement::Dynamic);
    for (index, column) in columns.iter().enumerate() {
        if column.fit != Fit::Wrapped
            && !hidden.contains(&column.heading)
            && let Some(column) = table.column_mut(index)
        {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    hidden
}

/// How many columns the terminal of standard output has.
pub(super) fn terminal_width() -> Option<u16> {
    let mut probe = comfy_table::Table::new();
    probe.set_content_arrangement(ContentArrangement::Dynamic);
    probe.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([
            Column::whole("ID"),
            Column::whole("STATUS"),
            Column::wrapped("URL"),
            Column::extra("CREATED (UTC)"),
        ]);
        table.row([
            "ep_1".into(),
            "active".into(),
            "https://example.com/a/rather/long/path/to/hooks".into(),
            "2026-01-31 12:00:00".into(),
        ]);
        table.row([
            "ep_2".into(),
            "paused".into(),
            "".into(),
            "2026-01-31 12:00:01".into(),
        ]);
        table
    }

    #[test]
    fn without_a_terminal_the_columns_are_plain() {
        let (text, hidden) = sample().render(None, false);
        assert!(hidden.is_empty());
        insta::assert_snapshot!(text, @r"
        ID    STATUS  URL                                              CREATED (UTC)
        ep_1  active  https://example.com/a/rather/long/path/to/hooks  2026-01-31 12:00:00
        ep_2  paused  -                                                2026-01-31 12:00:01
        ");
    }

    #[test]
    fn a_narrow_terminal_loses_extras_first_and_then_wraps() {
        let (text, hidden) = sample().render(Some(50), false);
        assert_eq!(hidden, ["CREATED (UTC)"]);
        assert!(text.lines().all(|line| line.len() <= 50), "{text}");
        insta::assert_snapshot!(text, @r"
        ID    STATUS  URL
        ep_1  active  https://example.com/a/rather/long/
                      path/to/hooks
        ep_2  paused  -
        ");
    }

    #[test]
    fn colours_show_the_status() {
        let (text, _) = sample().render(Some(120), true);
        assert!(text.contains("\u{1b}["), "{text:?}");
        let (text, _) = sample().render(Some(120), false);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
