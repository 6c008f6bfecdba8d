//! Who extends a process, and how far each one is: registered, ready for an event, busy with one, gone.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>

use super::member::{Member, Stage, Subscriptions};
use crate::client::verdict::End;
use crate::control::Ending;
use bytes::Bytes;
use model::limits::EXTENSIONS;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::watch;
use uuid::Uuid;

/// What the platform has to say to extensions.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// Nothing yet.
    Nothing,
    /// The function has got the event with this number.
    Invoke(u64, Bytes),
    /// The process is to end.
    Shutdown(Bytes),
}

/// Why a request of an extension is refused: the type of the error, and its message.
pub(crate) type Refused = (&'static str, String);

/// What a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Every extension that was started has registered.
    Registered,
    /// Every extension waits for its next event.
    Idle,
    /// Every extension that was started has ended, or has nothing more to do.
    Gone,
}

/// The extensions of one process.
#[derive(Debug)]
pub(crate) struct Roster {
    state: Mutex<State>,
    words: watch::Sender<Word>,
}

#[derive(Debug)]
struct State {
    members: Vec<Member>,
    /// More may register.
    open: bool,
    /// The events so far.
    given: u64,
    /// What went wrong first.
    failure: Option<End>,
    /// Whoever looks after the process has heard of it.
    reported: bool,
    /// The process is being shut down: nothing that ends now is a failure.
    closing: bool,
    /// Who waits for a goal.
    waker: Option<Waker>,
}

impl Roster {
    /// Of a process whose extensions with these names are started.
    pub(crate) fn new(external: &[String]) -> Roster {
        let members = external.iter().take(EXTENSIONS).enumerate();
        let state = State {
            members: members.map(|(number, name)| Member::external(number, name)).collect(),
            open: true,
            given: 0,
            failure: (external.len() > EXTENSIONS).then(|| {
                End::Extension("Extension.LaunchError", format!("Extension limit ({EXTENSIONS}) reached"))
            }),
            reported: false,
            closing: false,
            waker: None,
        };
        Roster { state: Mutex::new(state), words: watch::channel(Word::Nothing).0 }
    }

    /// Takes an extension in; its id.
    pub(crate) fn register(&self, name: &str, events: Subscriptions) -> Result<Uuid, Refused> {
        let mut state = self.state();
        if let Some(member) = state.members.iter_mut().find(|member| member.name == name) {
            if member.process.is_none() {
                return Err((
                    "Extension.InvalidExtensionState",
                    "Extension with this name already registered".into(),
                ));
            }
            member.advance(&[Stage::Started], Stage::Registered)?;
            member.events = events;
            let id = member.id;
            state.wake();
            return Ok(id);
        }
        if events.shutdown {
            let message = "SHUTDOWN: Shutdown event is not supported for internal extensions".to_owned();
            return Err(("Extension.InvalidEventType", message));
        }
        if !state.open {
            return Err(("Extension.RegistrationClosed", "Extension registration closed already".to_owned()));
        }
        if state.members.len() >= EXTENSIONS {
            let message = format!("Extension limit ({EXTENSIONS}) reached");
            return Err(("Extension.TooManyExtensions", message));
        }
        let member = Member::internal(name, events);
        let id = member.id;
        state.members.push(member);
        Ok(id)
    }

    /// The name of the extension with this id, if telemetry may still be subscribed to.
    pub(crate) fn subscriber(&self, id: Uuid, closed: Refused) -> Result<String, Refused> {
        let mut state = self.state();
        let open = state.open;
        let name = state.member(id)?.name.clone();
        if open { Ok(name) } else { Err(closed) }
    }

    /// The extension asks for its next event, and gets it when there is one: its document and a name for it. Never, if
    /// the process ends first.
    pub(crate) async fn ask(&self, id: Uuid) -> Result<Bytes, Refused> {
        let had = {
            let mut state = self.state();
            let given = state.given;
            let member = state.member(id)?;
            let had = member.ask(given)?;
            state.wake();
            had
        };
        let mut words = self.words.subscribe();
        loop {
            let word = words.borrow_and_update().clone();
            if let Some(document) = self.fetch(id, had, word) {
                return Ok(document);
            }
            if words.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What of `word` is for the extension that has had `had` events.
    fn fetch(&self, id: Uuid, had: u64, word: Word) -> Option<Bytes> {
        let mut state = self.state();
        let member = state.member(id).ok()?;
        match word {
            Word::Invoke(number, document) if number > had && member.events.invoke => {
                member.fetched = true;
                Some(document)
            }
            Word::Shutdown(document) if member.events.shutdown && !member.told => {
                (member.stage, member.fetched, member.told) = (Stage::Running, true, true);
                Some(document)
            }
            _ => None,
        }
    }

    /// The extension says that it could not be initialised, or that it must end.
    pub(crate) fn fail(&self, id: Uuid, kind: &str, initialising: bool) -> Result<(), Refused> {
        let mut state = self.state();
        let member = state.member(id)?;
        let (before, after) = match initialising {
            true => (&[Stage::Registered][..], Stage::InitError),
            false => (
                &[Stage::Registered, Stage::Ready, Stage::Running, Stage::InitError, Stage::ExitError][..],
                Stage::ExitError,
            ),
        };
        member.advance(before, after)?;
        let internal = member.process.is_none();
        member.error = Some(kind.chars().take(256).collect());
        if internal {
            let end = End::Extension(after.failure(), kind.chars().take(256).collect());
            state.fails(end);
        }
        state.wake();
        Ok(())
    }

    /// The process of the extension with this number has ended.
    pub(crate) fn ended(&self, number: usize, ending: Ending) {
        let mut state = self.state();
        let Some(member) = state.members.iter_mut().find(|member| member.process == Some(number)) else {
            return;
        };
        if member.stage == Stage::Exited {
            return;
        }
        let end = End::Extension(member.stage.failure(), super::member::words_of(ending));
        member.stage = Stage::Exited;
        state.fails(end);
        state.wake();
    }

    /// The program of the extension with this number could not be started.
    pub(crate) fn not_started(&self, number: usize, reason: &str) {
        let mut state = self.state();
        let Some(member) = state.members.iter_mut().find(|member| member.process == Some(number)) else {
            return;
        };
        member.stage = Stage::Exited;
        let reason = format!("fork/exec /opt/extensions/{}: {reason}", member.name);
        state.fails(End::Extension("Extension.LaunchError", reason));
        state.wake();
    }

    /// Nobody more may register, now that the runtime has asked for its event.
    pub(crate) fn close(&self) {
        self.state().open = false;
    }

    /// Gives every extension that wants to hear of it the event that the function gets.
    pub(crate) fn invoke(&self, document: impl FnOnce() -> Bytes) {
        let mut state = self.state();
        state.given += 1;
        let mut anybody = false;
        for member in
            state.members.iter_mut().filter(|member| member.events.invoke && member.stage == Stage::Ready)
        {
            (member.stage, member.fetched, anybody) = (Stage::Running, false, true);
        }
        if anybody {
            self.words.send_replace(Word::Invoke(state.given, document()));
        }
    }

    /// Tells every extension that wants to hear of it that the process is to end.
    pub(crate) fn shut_down(&self, document: Bytes) {
        self.state().closing = true;
        self.words.send_replace(Word::Shutdown(document));
    }

    /// Resolves when the goal is reached, or with what went wrong.
    pub(crate) async fn reach(&self, goal: Goal) -> Result<(), End> {
        poll_fn(|cx| self.poll_reach(cx, goal)).await
    }

    fn poll_reach(&self, cx: &mut Context<'_>, goal: Goal) -> Poll<Result<(), End>> {
        let mut state = self.state();
        if let Some(failure) = &state.failure
            && goal != Goal::Gone
        {
            return Poll::Ready(Err(failure.clone()));
        }
        let reached = |member: &Member| match goal {
            Goal::Registered => member.stage != Stage::Started,
            Goal::Idle => member.stage == Stage::Ready,
            // One that does not want to hear of the end has no time for it; one that has heard of it and asks again has
            // nothing more to do.
            Goal::Gone => {
                let done = member.told && member.stage == Stage::Ready;
                member.process.is_none() || member.stage == Stage::Exited || !member.events.shutdown || done
            }
        };
        if state.members.iter().all(reached) {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// What went wrong, once, while the process is not being shut down.
    pub(crate) fn poll_failure(&self, cx: &mut Context<'_>) -> Poll<End> {
        let mut state = self.state();
        if !state.closing
            && !state.reported
            && let Some(failure) = state.failure.clone()
        {
            state.reported = true;
            return Poll::Ready(failure);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// What went wrong, if anything did.
    pub(crate) fn failure(&self) -> Option<End> {
        self.state().failure.clone()
    }

    /// Whether anybody extends the process; whether one that was started does.
    pub(crate) fn counts(&self) -> (bool, bool) {
        let state = self.state();
        (!state.members.is_empty(), state.members.iter().any(|member| member.process.is_some()))
    }

    /// What the log and telemetry say of every extension: its name, state, events and error.
    pub(crate) fn describe(&self) -> Vec<(String, &'static str, Vec<&'static str>, Option<String>)> {
        let state = self.state();
        let described = |member: &Member| {
            (member.name.clone(), member.stage.name(), member.events.names(), member.error.clone())
        };
        state.members.iter().map(described).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn member(&mut self, id: Uuid) -> Result<&mut Member, Refused> {
        let unknown = || ("Extension.UnknownExtensionIdentifier", format!("Unknown extension {id}"));
        self.members
            .iter_mut()
            .find(|member| member.id == id && member.stage != Stage::Started)
            .ok_or_else(unknown)
    }

    fn fails(&mut self, end: End) {
        if !self.closing {
            self.failure.get_or_insert(end);
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const BOTH: Subscriptions = Subscriptions { invoke: true, shutdown: true };
    const INVOKE: Subscriptions = Subscriptions { invoke: true, shutdown: false };

    async fn reached(roster: &Roster, goal: Goal) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, roster.reach(goal)).await.is_ok()
    }

    #[tokio::test]
    async fn an_external_extension_goes_through_its_life() {
        let roster = Arc::new(Roster::new(&["e".to_owned()]));
        assert!(!reached(&roster, Goal::Registered).await);
        let id = roster.register("e", BOTH).unwrap();
        assert_eq!(roster.register("e", BOTH).unwrap_err().0, "Extension.InvalidExtensionState");
        assert!(reached(&roster, Goal::Registered).await && !reached(&roster, Goal::Idle).await);
        let asking = || {
            tokio::spawn({
                let roster = Arc::clone(&roster);
                async move { roster.ask(id).await }
            })
        };
        let asked = asking();
        roster.reach(Goal::Idle).await.unwrap();
        roster.invoke(|| "1".into());
        assert!(!reached(&roster, Goal::Idle).await);
        assert_eq!(asked.await.unwrap().unwrap(), "1");
        let asked = asking();
        roster.reach(Goal::Idle).await.unwrap();
        roster.shut_down("end".into());
        assert_eq!(asked.await.unwrap().unwrap(), "end");
        assert!(!reached(&roster, Goal::Gone).await);
        // It may end, or ask once more, which is never answered.
        let asked = asking();
        roster.reach(Goal::Gone).await.unwrap();
        asked.abort();
        roster.ended(0, Ending::Status(0));
        assert!(reached(&roster, Goal::Gone).await && roster.failure().is_none());
    }

    #[test]
    fn internal_extensions_hear_of_events_only_and_register_in_time() {
        let roster = Roster::new(&[]);
        assert_eq!(roster.register("i", BOTH).unwrap_err().0, "Extension.InvalidEventType");
        let id = roster.register("i", INVOKE).unwrap();
        assert_eq!(roster.register("i", INVOKE).unwrap_err().0, "Extension.InvalidExtensionState");
        for number in 1..EXTENSIONS {
            roster.register(&number.to_string(), INVOKE).unwrap();
        }
        assert_eq!(roster.register("more", INVOKE).unwrap_err().0, "Extension.TooManyExtensions");
        roster.close();
        assert_eq!(roster.register("late", INVOKE).unwrap_err().0, "Extension.RegistrationClosed");
        assert!(roster.subscriber(id, ("closed", String::new())).is_err());
        assert_eq!(roster.counts(), (true, false));
    }

    #[tokio::test]
    async fn the_first_failure_counts() {
        let roster = Roster::new(&["a".to_owned(), "b".to_owned()]);
        let id = roster.register("b", BOTH).unwrap();
        roster.fail(id, "Mine", true).unwrap();
        assert_eq!(roster.fail(id, "Mine", true).unwrap_err().0, "Extension.InvalidExtensionState");
        assert!(roster.failure().is_none()); // its process will end
        roster.ended(1, Ending::Status(3));
        roster.ended(0, Ending::Signal(9));
        let Some(End::Extension(kind, reason)) = roster.failure() else { panic!() };
        assert_eq!((kind, reason.as_str()), ("Extension.InitError", "exit status 3"));
        assert!(roster.reach(Goal::Idle).await.is_err());
        let many: Vec<_> = (0..=EXTENSIONS).map(|number| number.to_string()).collect();
        assert!(Roster::new(&many).failure().is_some());
    }
}
