//! One extension of a process.

use super::roster::Refused;
use crate::client::verdict::signal_name;
use crate::control::Ending;
use uuid::Uuid;

/// How far an extension is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its process has been started.
    Started,
    /// It has registered.
    Registered,
    /// It waits for its next event.
    Ready,
    /// It has an event.
    Running,
    /// It could not be initialised.
    InitError,
    /// It has said that it must end.
    ExitError,
    /// Its process has ended.
    Exited,
}

impl Stage {
    /// The name that messages and logs have for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Started => "Started",
            Stage::Registered => "Registered",
            Stage::Ready => "Ready",
            Stage::Running => "Running",
            Stage::InitError => "InitError",
            Stage::ExitError => "ExitError",
            Stage::Exited => "Exited",
        }
    }

    /// What it is when an extension ends here.
    pub(super) fn failure(self) -> &'static str {
        match self {
            Stage::InitError => "Extension.InitError",
            Stage::ExitError => "Extension.ExitError",
            _ => "Extension.Crash",
        }
    }
}

/// What an extension wants to hear of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscriptions {
    /// The events of the function.
    pub(crate) invoke: bool,
    /// The end of the process.
    pub(crate) shutdown: bool,
}

impl Subscriptions {
    /// Their names.
    pub(super) fn names(self) -> Vec<&'static str> {
        let names = [self.invoke.then_some("INVOKE"), self.shutdown.then_some("SHUTDOWN")];
        names.into_iter().flatten().collect()
    }
}

/// One extension.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) id: Uuid,
    /// The number of its process; none if it is part of the runtime's.
    pub(super) process: Option<usize>,
    pub(super) events: Subscriptions,
    pub(super) stage: Stage,
    /// Its event has been sent to it.
    pub(super) fetched: bool,
    /// It has heard of the end.
    pub(super) told: bool,
    /// The error that it has reported.
    pub(super) error: Option<String>,
}

impl Member {
    /// One whose process has this number.
    pub(super) fn external(number: usize, name: &str) -> Member {
        let events = Subscriptions::default();
        Member { process: Some(number), stage: Stage::Started, ..Member::internal(name, events) }
    }

    /// One that registers from within the runtime's process.
    pub(super) fn internal(name: &str, events: Subscriptions) -> Member {
        Member {
            name: name.to_owned(),
            id: Uuid::new_v4(),
            process: None,
            events,
            stage: Stage::Registered,
            fetched: false,
            told: false,
            error: None,
        }
    }

    /// Goes on to `after`, if it is at one of these stages.
    pub(super) fn advance(&mut self, before: &[Stage], after: Stage) -> Result<(), Refused> {
        if !before.contains(&self.stage) {
            let message = format!(
                "State transition from {} to {} failed for extension {}. Error: State transition is not allowed",
                self.stage.name(),
                after.name(),
                self.name
            );
            return Err(("Extension.InvalidExtensionState", message));
        }
        self.stage = after;
        Ok(())
    }

    /// It asks for its next event, of which there have been `given`: how many of them it has had.
    pub(super) fn ask(&mut self, given: u64) -> Result<u64, Refused> {
        if self.stage == Stage::Running && !self.fetched {
            // The answer was lost with its connection.
            return Ok(given - 1);
        }
        self.advance(&[Stage::Registered, Stage::Ready, Stage::Running], Stage::Ready)?;
        Ok(given)
    }
}

/// How a process ended, in Lambda's words.
pub(super) fn words_of(ending: Ending) -> String {
    match ending {
        Ending::Status(0) => "exit code 0".to_owned(),
        Ending::Status(status) => format!("exit status {status}"),
        Ending::Signal(signal) => format!("signal: {}", signal_name(signal)),
    }
}
