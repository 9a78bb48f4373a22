//! Figures: what the benchmark says, one a line.

use std::fmt;

use serde::Serialize;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Goal {
    /// Whether the value is as it should be.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">={}", number(*least)),
            Self::AtMost(most) => write!(f, "<={}", number(*most)),
        }
    }
}

/// One measured value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// `scenario.what`, for programs.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit: `/s`, `ms`, `us`, `MB`.
    pub unit: &'static str,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Whether it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_met: Option<bool>,
    /// The same figure of the bare program, measured in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// How many times the floor this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_floor: Option<f64>,
}

impl Figure {
    /// A figure without a goal.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            goal: None,
            is_met: None,
            floor: None,
            ratio_to_floor: None,
        }
    }

    /// Adds a goal.
    #[must_use]
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self.is_met = Some(goal.is_met(self.value));
        self
    }

    /// Adds what the bare program reached.
    #[must_use]
    pub fn floor(mut self, floor: Option<f64>) -> Self {
        self.floor = floor;
        self.ratio_to_floor = floor
            .filter(|floor| *floor > 0.0)
            .map(|floor| self.value / floor);
        self
    }
}

/// `name value unit goal >=5000 met floor 9000 ratio 0.61`.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, number(self.value), self.unit)?;
        if let Some(goal) = self.goal {
            let word = if goal.is_met(self.value) {
                "met"
            } else {
                "missed"
            };
            write!(f, " goal {goal} {word}")?;
        }
        if let (Some(floor), Some(ratio)) = (self.floor, self.ratio_to_floor) {
            write!(f, " floor {} ratio {ratio:.2}", number(floor))?;
        }
        Ok(())
    }
}

/// About four digits; no more were measured.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_one_line_with_goal_and_floor() {
        let figure = Figure::new("single.deliveries", 5312.4, "/s");
        assert_eq!(figure.to_string(), "single.deliveries 5312 /s");
        let figure = figure.goal(Goal::AtLeast(5000.0)).floor(Some(9000.0));
        assert_eq!(
            figure.to_string(),
            "single.deliveries 5312 /s goal >=5000 met floor 9000 ratio 0.59"
        );
        let figure = Figure::new("latency.p50", 5.25, "ms").goal(Goal::AtMost(5.0));
        assert_eq!(figure.to_string(), "latency.p50 5.25 ms goal <=5.00 missed");
    }
}
