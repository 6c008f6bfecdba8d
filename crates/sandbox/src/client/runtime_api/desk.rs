//! What a custom runtime may say when: it asks once, gets one event, and answers once.

use super::super::frames::{Breach, Frame};
use super::reply::{Event, Refusal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// How far the runtime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not asked for its event.
    Started,
    /// It waits for its event.
    Asked,
    /// It has its event.
    Ready,
    /// Its answer, or an error, is coming in.
    Answering,
    /// It has answered, and may still be doing something.
    Answered,
    /// It has asked for another event, which will never come.
    Done,
    /// It could not be initialised.
    InitError,
}

/// What the run hears.
#[derive(Debug)]
pub(super) enum Said {
    /// The runtime asks for its event.
    Ready,
    /// Its answer or its error.
    Last(Result<Frame, Breach>),
    /// It asks for another event.
    Done,
}

/// What the runtime can hear.
#[derive(Clone, Debug)]
pub(super) enum Platform {
    /// The event is not there yet.
    Waits,
    /// This is the event.
    Gives(Arc<Event>),
    /// The run is over.
    Gone,
}

/// Whom the connections of one event speak to.
#[derive(Debug)]
pub(super) struct Desk {
    request_id: String,
    stage: Mutex<Stage>,
    says: mpsc::Sender<Said>,
    platform: watch::Receiver<Platform>,
}

impl Desk {
    pub(super) fn new(
        request_id: String,
        says: mpsc::Sender<Said>,
        platform: watch::Receiver<Platform>,
    ) -> Desk {
        Desk { request_id, stage: Mutex::new(Stage::Started), says, platform }
    }

    /// The event was handed over.
    pub(super) fn give(&self) {
        *self.stage() = Stage::Ready;
    }

    /// The runtime asks for an event: the one there is, again if it has not answered yet; none when the run is over.
    pub(super) async fn ask(&self) -> Result<Option<Arc<Event>>, Refusal> {
        let another = self.note_question()?;
        let mut platform = self.platform.clone();
        let heard = platform.wait_for(|platform| match platform {
            Platform::Waits => false,
            Platform::Gives(_) => !another,
            Platform::Gone => true,
        });
        Ok(match heard.await.as_deref() {
            Ok(Platform::Gives(event)) => Some(Arc::clone(event)),
            _ => None,
        })
    }

    /// Whether it is another event that the runtime asks for.
    fn note_question(&self) -> Result<bool, Refusal> {
        let mut stage = self.stage();
        match *stage {
            Stage::Started => {
                *stage = Stage::Asked;
                self.say(Said::Ready);
            }
            Stage::Asked | Stage::Ready => {}
            Stage::Answered => {
                *stage = Stage::Done;
                self.say(Said::Done);
            }
            Stage::Done => {}
            Stage::Answering | Stage::InitError => return Err(not_allowed(*stage, "Ready")),
        }
        Ok(*stage == Stage::Done)
    }

    /// Lets the runtime answer the event `id`, once.
    pub(super) fn answer(&self, id: &str) -> Result<Claim<'_>, Refusal> {
        if id != self.request_id {
            return Err(Refusal::new(400, "InvalidRequestID", "Invalid request ID"));
        }
        self.claim(Stage::Ready, Stage::Answered, "InvocationResponse")
    }

    /// Lets the runtime say that it could not be initialised.
    pub(super) fn fail(&self) -> Result<Claim<'_>, Refusal> {
        self.claim(Stage::Started, Stage::InitError, "InitError")
    }

    fn claim(&self, before: Stage, after: Stage, aim: &str) -> Result<Claim<'_>, Refusal> {
        let mut stage = self.stage();
        if *stage != before {
            return Err(not_allowed(*stage, aim));
        }
        *stage = Stage::Answering;
        Ok(Claim { desk: self, becomes: before, after })
    }

    /// Returns when the run is over.
    pub(super) async fn gone(&self) {
        let _ = self.platform.clone().wait_for(|platform| matches!(platform, Platform::Gone)).await;
    }

    fn say(&self, said: Said) {
        // There is room for everything that may be said; a run that has ended does not listen.
        let _ = self.says.try_send(said);
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to say the last word. If it is dropped unused, because the connection broke, the runtime may try again.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    desk: &'a Desk,
    /// The stage when this is dropped.
    becomes: Stage,
    after: Stage,
}

impl Claim<'_> {
    /// Says it.
    pub(super) fn say(mut self, last: Result<Frame, Breach>) {
        self.becomes = self.after;
        self.desk.say(Said::Last(last));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        *self.desk.stage() = self.becomes;
    }
}

fn not_allowed(stage: Stage, aim: &str) -> Refusal {
    let message = format!(
        "State transition from {stage:?} to {aim} failed for runtime. Error: State transition is not allowed"
    );
    Refusal::new(403, "InvalidStateTransition", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> (Desk, mpsc::Receiver<Said>) {
        let (says, said) = mpsc::channel(4);
        (Desk::new("id".into(), says, watch::channel(Platform::Gone).1), said)
    }

    #[test]
    fn there_is_one_answer() {
        let (desk, mut said) = desk();
        assert_eq!(desk.answer("id").unwrap_err().kind, "InvalidStateTransition");
        assert!(!desk.note_question().unwrap() && !desk.note_question().unwrap());
        assert!(matches!(said.try_recv(), Ok(Said::Ready)) && said.try_recv().is_err());
        assert_eq!(desk.answer("id").unwrap_err().kind, "InvalidStateTransition");
        desk.give();
        assert_eq!(desk.answer("other").unwrap_err().kind, "InvalidRequestID");
        let claim = desk.answer("id").unwrap();
        assert!(desk.answer("id").is_err() && desk.note_question().is_err() && desk.fail().is_err());
        drop(claim); // the connection broke
        desk.answer("id").unwrap().say(Ok(Frame::Result("1".into())));
        assert!(desk.answer("id").is_err());
        assert!(desk.note_question().unwrap() && desk.note_question().unwrap());
        assert!(matches!(said.try_recv(), Ok(Said::Last(Ok(Frame::Result(_))))));
        assert!(matches!(said.try_recv(), Ok(Said::Done)) && said.try_recv().is_err());
    }

    #[test]
    fn initialisation_fails_once_and_before_the_event_only() {
        let (desk, mut said) = desk();
        desk.fail().unwrap().say(Ok(Frame::InitError("{}".into())));
        assert!(desk.fail().is_err() && desk.note_question().is_err() && desk.answer("id").is_err());
        assert!(matches!(said.try_recv(), Ok(Said::Last(Ok(Frame::InitError(_))))));
        let (desk, _said) = self::desk();
        desk.note_question().unwrap();
        assert!(desk.fail().is_err());
    }
}
