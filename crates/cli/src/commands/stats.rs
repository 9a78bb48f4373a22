//! `signpost stats`: counts and rates of a tenant.

use clap::Args;
use serde_json::Value;

use super::{App, Window, details};
use crate::client::Call;
use crate::error::Result;
use crate::output::{Cell, Column, Table};

/// Counts and rates per status, endpoint and event type.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  signpost stats --tenant acme --since 24h")]
pub struct Stats {
    /// From when to when [default: the last 24 hours]
    #[command(flatten)]
    window: Window,
}

impl Stats {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        let (since, until) = self.window.resolve(&app.clock)?;
        let call = Call::get(["tenants", &tenant, "stats"])
            .query("since", since)
            .query("until", until);
        let answer = app.call(call).await?;
        if app.out.is_json() {
            return app.out.json(&answer.body);
        }
        let value = answer.value()?;
        let Some(parts) = value.as_object() else {
            return app.out.line(details(&answer.body)?);
        };
        for (name, part) in parts {
            show_part(app, name, part)?;
        }
        Ok(())
    }
}

/// One part: a table where it is a list of objects or a map, a line where it is a figure.
fn show_part(app: &mut App<'_>, name: &str, part: &Value) -> Result<()> {
    match part {
        Value::Array(rows) if rows.iter().all(Value::is_object) => {
            let Some(first) = rows.first().and_then(Value::as_object) else {
                return app.out.line(format!("{name}  -\n"));
            };
            let mut table = Table::new(
                first
                    .keys()
                    .map(|key| Column::whole(heading(key)))
                    .collect::<Vec<_>>(),
            );
            for row in rows {
                let cell = |key| {
                    row.get(key)
                        .map_or_else(|| "-".to_owned(), show_figure)
                        .into()
                };
                let cells = first.keys().map(cell);
                table.row(cells.collect::<Vec<Cell>>());
            }
            app.out.line(name)?;
            app.out.table(table)?;
            app.out.line("")
        }
        Value::Object(map) => {
            let mut table = Table::new([Column::whole(heading(name)), Column::whole("COUNT")]);
            for (key, value) in map {
                table.row([key.as_str().into(), show_figure(value).into()]);
            }
            app.out.table(table)?;
            app.out.line("")
        }
        other => app.out.line(format!("{name}  {}", show_figure(other))),
    }
}

fn show_figure(value: &Value) -> String {
    match value {
        Value::String(text) => crate::output::time(text),
        Value::Null => "-".to_owned(),
        Value::Number(number) if number.is_f64() => three_digits(number.as_f64().unwrap_or(0.0)),
        other => other.to_string(),
    }
}

/// A rate with three digits that count: 0.0000231, 1.5, 1240.
fn three_digits(rate: f64) -> String {
    let after_point = (1..=12)
        .rev()
        .find(|digits| rate.abs() * 10_f64.powi(*digits) < 1000.0);
    let digits = after_point.and_then(|digits| usize::try_from(digits).ok());
    let text = format!("{rate:.*}", digits.unwrap_or(0));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// The heading of a column whose name the server gave.
fn heading(name: &str) -> String {
    name.replace('_', " ").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        let shown = [
            0.0,
            1.0,
            0.000_023_148_148,
            1.0 / 3.0,
            12.345,
            999.6,
            1240.4,
        ]
        .map(three_digits);
        assert_eq!(
            shown,
            ["0", "1", "0.0000231", "0.333", "12.3", "1000", "1240"]
        );
    }
}
