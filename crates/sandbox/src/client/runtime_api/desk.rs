//! What a custom runtime may say when: it asks, gets one event, answers once, and asks for the next.

use super::super::frames::{Breach, Frame};
use super::reply::{Event, Refusal};
use model::limits::STREAM_PIECES;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

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
    /// It has asked for another event, which may never come.
    Done,
    /// It could not be initialised.
    InitError,
}

/// What the run hears.
#[derive(Debug)]
pub(super) enum Said {
    /// The runtime asks for its event.
    Ready,
    /// A part of an answer that it streams, and the room that it takes.
    Part(Frame, OwnedSemaphorePermit),
    /// Its answer or its error.
    Last(Result<Frame, Breach>),
    /// It asks for another event.
    Done,
}

/// What the runtime can hear.
#[derive(Clone, Debug)]
pub(super) enum Platform {
    /// There has been no event yet.
    Waits,
    /// This is the event with this number.
    Gives(u64, Arc<Event>),
    /// The run is over.
    Gone,
}

/// Whom the connections of one process speak to.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    says: mpsc::Sender<Said>,
    /// Room for parts of an answer, beside which there is always some for the last word.
    room: Arc<Semaphore>,
    platform: watch::Receiver<Platform>,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// How many events have been given.
    given: u64,
    /// The number of the last one that was taken.
    taken: u64,
    /// The name of the last one.
    request_id: String,
    /// The process is a copy of one that has asked for its event, and waits for the answer on its first connection.
    has_asked: bool,
}

impl Desk {
    pub(super) fn new(says: mpsc::Sender<Said>, platform: watch::Receiver<Platform>) -> Desk {
        let state =
            State { stage: Stage::Started, given: 0, taken: 0, request_id: String::new(), has_asked: false };
        let room = Arc::new(Semaphore::new(STREAM_PIECES));
        Desk { state: Mutex::new(state), says, room, platform }
    }

    /// The event `request_id` is handed over; says which number it has.
    pub(super) fn give(&self, request_id: &str) -> u64 {
        let mut state = self.state();
        (state.stage, state.given) = (Stage::Ready, state.given + 1);
        request_id.clone_into(&mut state.request_id);
        state.given
    }

    /// Whether nobody has taken the last event.
    pub(super) fn left_event(&self) -> bool {
        let state = self.state();
        state.taken < state.given
    }

    /// The process is a copy of one that had asked for its event.
    pub(super) fn has_asked(&self) {
        self.state().has_asked = true;
    }

    /// Whether a connection that begins now is one on which a copy's question was asked before; true once.
    pub(super) fn is_question(&self) -> bool {
        std::mem::take(&mut self.state().has_asked)
    }

    /// The runtime asks for an event: the one there is, again if it has not answered yet; none when the run is over.
    pub(super) async fn ask(&self) -> Result<Option<Arc<Event>>, Refusal> {
        let had = self.note_question()?;
        let mut platform = self.platform.clone();
        let heard = platform.wait_for(|platform| match platform {
            Platform::Waits => false,
            Platform::Gives(number, _) => *number > had,
            Platform::Gone => true,
        });
        Ok(match heard.await.as_deref() {
            Ok(Platform::Gives(number, event)) => {
                self.state().taken = *number;
                Some(Arc::clone(event))
            }
            _ => None,
        })
    }

    /// How many events the runtime has answered, when it asks.
    fn note_question(&self) -> Result<u64, Refusal> {
        let mut state = self.state();
        match state.stage {
            Stage::Started => {
                state.stage = Stage::Asked;
                self.say(Said::Ready);
            }
            Stage::Answered => {
                state.stage = Stage::Done;
                self.say(Said::Done);
            }
            // The event that it has been given already, or the one that it waits for.
            Stage::Ready => return Ok(state.given - 1),
            Stage::Asked | Stage::Done => {}
            Stage::Answering | Stage::InitError => return Err(not_allowed(state.stage, "Ready")),
        }
        Ok(state.given)
    }

    /// Lets the runtime answer the event `id`, once.
    pub(super) fn answer(&self, id: &str) -> Result<Claim<'_>, Refusal> {
        if id != self.state().request_id {
            return Err(Refusal::new(400, "InvalidRequestID", "Invalid request ID"));
        }
        self.claim(Stage::Ready, Stage::Answered, "InvocationResponse")
    }

    /// Lets the runtime say that it could not be initialised.
    pub(super) fn fail(&self) -> Result<Claim<'_>, Refusal> {
        self.claim(Stage::Started, Stage::InitError, "InitError")
    }

    fn claim(&self, before: Stage, after: Stage, aim: &str) -> Result<Claim<'_>, Refusal> {
        let mut state = self.state();
        if state.stage != before {
            return Err(not_allowed(state.stage, aim));
        }
        state.stage = Stage::Answering;
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Says a part of it, when there is room for that. A run that has ended does not listen.
    pub(super) async fn part(&self, part: Frame) {
        // The semaphore is never closed.
        if let Ok(room) = Arc::clone(&self.desk.room).acquire_owned().await {
            self.desk.say(Said::Part(part, room));
        }
    }

    /// Says it.
    pub(super) fn say(mut self, last: Result<Frame, Breach>) {
        self.becomes = self.after;
        self.desk.say(Said::Last(last));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.desk.state().stage = self.becomes;
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
        (Desk::new(says, watch::channel(Platform::Gone).1), said)
    }

    #[test]
    fn there_is_one_answer() {
        let (desk, mut said) = desk();
        assert_eq!(desk.answer("id").unwrap_err().kind, "InvalidRequestID");
        assert_eq!((desk.note_question().unwrap(), desk.note_question().unwrap()), (0, 0));
        assert!(matches!(said.try_recv(), Ok(Said::Ready)) && said.try_recv().is_err());
        assert_eq!(desk.answer("").unwrap_err().kind, "InvalidStateTransition");
        assert_eq!(desk.give("id"), 1);
        assert_eq!(desk.note_question().unwrap(), 0); // it may ask for its event once more
        assert_eq!(desk.answer("other").unwrap_err().kind, "InvalidRequestID");
        let claim = desk.answer("id").unwrap();
        assert!(desk.answer("id").is_err() && desk.note_question().is_err() && desk.fail().is_err());
        drop(claim); // the connection broke
        desk.answer("id").unwrap().say(Ok(Frame::Result("1".into())));
        assert!(desk.answer("id").is_err());
        assert_eq!((desk.note_question().unwrap(), desk.note_question().unwrap()), (1, 1));
        assert!(matches!(said.try_recv(), Ok(Said::Last(Ok(Frame::Result(_))))));
        assert!(matches!(said.try_recv(), Ok(Said::Done)) && said.try_recv().is_err());
        // Another event.
        assert_eq!(desk.give("next"), 2);
        assert_eq!(desk.answer("id").unwrap_err().kind, "InvalidRequestID");
        desk.answer("next").unwrap().say(Ok(Frame::Result("2".into())));
        assert_eq!(desk.note_question().unwrap(), 2);
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
