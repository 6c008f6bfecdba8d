//! What the doctor finds, as a table for people and as JSON.

use crate::table;
use serde::Serialize;

/// The widest text in a cell of the table before it goes on in the next line.
const WIDTH: usize = 52;

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It is there and in use.
    Used,
    /// It is there, but not as good as it could be, or not needed now.
    Present,
    /// It is not there.
    Missing,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Used => "used",
            State::Present => "present",
            State::Missing => "missing",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    pub(super) feature: String,
    pub(super) state: State,
    /// Functions cannot run safely without it, and it is missing.
    pub(super) unsafe_without: bool,
    pub(super) detail: String,
    pub(super) what_to_do: String,
}

impl Finding {
    fn new(feature: &str, state: State, detail: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        let (feature, detail, what_to_do) = (feature.to_owned(), detail.into(), what_to_do.into());
        Finding { feature, state, unsafe_without: false, detail, what_to_do }
    }

    /// It is there and in use.
    pub(super) fn used(feature: &str, detail: impl Into<String>) -> Self {
        Finding::new(feature, State::Used, detail, "")
    }

    /// It is there.
    pub(super) fn present(feature: &str, detail: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Finding::new(feature, State::Present, detail, what_to_do)
    }

    /// It is not there.
    pub(super) fn missing(feature: &str, detail: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Finding::new(feature, State::Missing, detail, what_to_do)
    }

    /// The same, and functions cannot run safely because of it.
    pub(super) fn and_unsafe(mut self) -> Self {
        self.unsafe_without = true;
        self
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    /// Functions can run safely.
    safe: bool,
    findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn of(findings: Vec<Finding>) -> Self {
        Diagnosis { safe: findings.iter().all(|finding| !finding.unsafe_without), findings }
    }

    pub(super) fn is_safe(&self) -> bool {
        self.safe
    }

    /// The table, and below it the verdict.
    pub(super) fn text(&self) -> String {
        let mut rows = vec![["FEATURE", "STATE", "DETAIL", "WHAT TO DO"].map(str::to_owned)];
        rows.extend(self.findings.iter().map(|finding| {
            let (detail, what_to_do) = (wrap(&finding.detail), wrap(&finding.what_to_do));
            let state = finding.state.name();
            let state = if finding.unsafe_without { state.to_uppercase() } else { state.to_owned() };
            [finding.feature.clone(), state, detail, what_to_do]
        }));
        let broken: Vec<&str> = self
            .findings
            .iter()
            .filter(|finding| finding.unsafe_without)
            .map(|finding| finding.feature.as_str())
            .collect();
        let verdict = if self.safe {
            "Functions can run safely here.".to_owned()
        } else {
            format!("Functions cannot run safely here. See to: {}.", broken.join(", "))
        };
        format!("{}\n{verdict}\n", table::render(&rows))
    }
}

/// Breaks a text between words into lines of [`WIDTH`] characters.
fn wrap(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_what_is_unsafe() {
        let fine = Finding::used("kernel", "6.1");
        let poor = Finding::missing("landlock", "", "use another kernel");
        let diagnosis = Diagnosis::of(vec![fine.clone(), poor.clone()]);
        assert!(diagnosis.is_safe() && diagnosis.text().ends_with("\nFunctions can run safely here.\n"));
        let diagnosis = Diagnosis::of(vec![fine, Finding { feature: "seccomp".into(), ..poor }.and_unsafe()]);
        assert!(!diagnosis.is_safe());
        let text = diagnosis.text();
        assert!(text.contains("MISSING") && text.contains("See to: seccomp."), "{text}");
    }

    #[test]
    fn long_texts_go_on_below() {
        let text = wrap(&"word ".repeat(20));
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(wrap(""), "");
    }
}
