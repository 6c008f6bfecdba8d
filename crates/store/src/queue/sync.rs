//! The synchronous lane: events that somebody waits for, in memory.

use model::{Event, Metering, Outcome, Part, RequestId, limits};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// What the waiter of a synchronous call gets.
#[derive(Debug)]
pub struct Answer {
    /// How the run ended.
    pub outcome: Outcome,
    /// What it cost.
    pub metering: Metering,
    /// The end of what it logged, at most [`limits::LOG_TAIL`] bytes.
    pub log_tail: String,
    /// The version that ran.
    pub version: String,
}

/// A place in the synchronous lane: resolves when the event has run.
#[derive(Debug)]
pub struct Ticket {
    /// The event it stands for.
    pub id: RequestId,
    answer: oneshot::Receiver<Result<Answer, Throttled>>,
}

/// Why a call was refused: it found no room within the time that it may wait.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>, `TooManyRequestsException`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    /// The function runs as often as is reserved for it.
    Function,
    /// Everything together runs as often as it may, or the machine is full.
    Account,
}

impl Throttled {
    /// AWS's word for it.
    pub fn reason(self) -> &'static str {
        match self {
            Throttled::Function => "ReservedFunctionConcurrentInvocationLimitExceeded",
            Throttled::Account => "ConcurrentInvocationLimitExceeded",
        }
    }
}

/// Why a ticket has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// There was no room for it.
    Throttled(Throttled),
    /// The platform itself failed, or is shutting down.
    Broken,
}

impl Ticket {
    /// Waits until the event has run.
    ///
    /// # Errors
    /// Why it has not.
    pub async fn answer(self) -> Result<Answer, Unanswered> {
        match self.answer.await {
            Ok(answer) => answer.map_err(Unanswered::Throttled),
            Err(_) => Err(Unanswered::Broken),
        }
    }
}

/// An event with somebody waiting for its answer. Dropping it tells the waiter that the platform failed.
#[derive(Debug)]
pub struct Waiting {
    /// The work.
    pub event: Event,
    /// When it was put into the lane.
    pub since: Instant,
    /// Takes the answer as the function writes it, for a caller that reads along.
    pub stream: Option<mpsc::Sender<Part>>,
    /// The caller wants the end of the log: the answer waits until it is whole.
    pub whole_log: bool,
    reply: oneshot::Sender<Result<Answer, Throttled>>,
    _room: Room,
    place: Option<Place>,
}

/// One of the [`limits::SYNC_LANE`] places for calls that wait.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let add = |now: usize| Some(now + 1).filter(|then| *then <= limits::SYNC_LANE);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Place(taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The bytes that a call's event takes of [`limits::SYNC_LANE_BYTES`], until it is answered.
#[derive(Debug)]
struct Room {
    bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl Room {
    fn take(taken: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let add = |now: usize| now.checked_add(bytes).filter(|then| *then <= limits::SYNC_LANE_BYTES);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Room { bytes, taken: taken.clone() })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Waiting {
    /// Wakes the waiter; one that has gone away is no fault.
    pub fn reply(self, answer: Answer) {
        let _ = self.reply.send(Ok(answer));
    }

    /// Tells the waiter that there is no room.
    pub fn refuse(self, why: Throttled) {
        let _ = self.reply.send(Err(why));
    }

    /// It waits no longer: another call can have its place.
    pub fn begin(&mut self) {
        self.place = None;
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// The synchronous lane is full, by number or by size: the caller is told to slow down.
#[derive(Debug, thiserror::Error)]
#[error("too many synchronous calls are waiting already")]
pub struct LaneFull;

/// The bounded queue of events that somebody waits for.
#[derive(Debug)]
pub struct SyncLane {
    sender: mpsc::Sender<Waiting>,
    receiver: Mutex<Option<mpsc::Receiver<Waiting>>>,
    taken: Arc<AtomicUsize>,
    places: Arc<AtomicUsize>,
}

impl SyncLane {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(limits::SYNC_LANE);
        SyncLane {
            sender,
            receiver: Mutex::new(Some(receiver)),
            taken: Arc::default(),
            places: Arc::default(),
        }
    }

    /// Puts `event` into the lane.
    ///
    /// # Errors
    /// [`LaneFull`] when too many wait already, or when nobody takes events any more.
    pub fn submit(&self, event: Event) -> std::result::Result<Ticket, LaneFull> {
        self.submit_with(event, None, false)
    }

    /// Puts `event` into the lane for a caller who wants the end of its log too.
    ///
    /// # Errors
    /// As [`SyncLane::submit`].
    pub fn submit_logged(&self, event: Event) -> std::result::Result<Ticket, LaneFull> {
        self.submit_with(event, None, true)
    }

    /// Puts `event` into the lane; its answer can be read while the function writes it. When the parts end, the ticket
    /// has what is left: the whole answer of a function that does not stream, or how it ended.
    ///
    /// # Errors
    /// As [`SyncLane::submit`].
    pub fn submit_streamed(
        &self,
        event: Event,
        whole_log: bool,
    ) -> std::result::Result<(Ticket, mpsc::Receiver<Part>), LaneFull> {
        let (stream, parts) = mpsc::channel(limits::STREAM_PIECES);
        Ok((self.submit_with(event, Some(stream), whole_log)?, parts))
    }

    fn submit_with(
        &self,
        event: Event,
        stream: Option<mpsc::Sender<Part>>,
        whole_log: bool,
    ) -> std::result::Result<Ticket, LaneFull> {
        let (reply, answer) = oneshot::channel();
        let id = event.id;
        let room = Room::take(&self.taken, event.payload.len()).ok_or(LaneFull)?;
        let place = Place::take(&self.places).ok_or(LaneFull)?;
        self.sender
            .try_send(Waiting {
                event,
                since: Instant::now(),
                stream,
                whole_log,
                reply,
                _room: room,
                place: Some(place),
            })
            .map_err(|_| LaneFull)?;
        Ok(Ticket { id, answer })
    }

    /// Whether nobody takes events any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// The end from which the scheduler takes events; there is one, so a second call gets `None`.
    pub fn take_receiver(&self) -> Option<mpsc::Receiver<Waiting>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use model::{FunctionArn, Source, Timestamp};

    fn event() -> Event {
        Event::new(FunctionArn::of("f"), Source::Invoke, Timestamp(0), Bytes::new())
    }

    #[tokio::test]
    async fn it_answers_its_waiter_and_refuses_beyond_its_bound() {
        let sync_lane = SyncLane::new();
        let mut lane = sync_lane.take_receiver().unwrap();
        assert!(sync_lane.take_receiver().is_none());
        let ticket = sync_lane.submit(event()).unwrap();
        drop(lane.recv().await.unwrap());
        assert_eq!(ticket.answer().await.unwrap_err(), Unanswered::Broken);
        let ticket = sync_lane.submit(event()).unwrap();
        lane.recv().await.unwrap().refuse(Throttled::Function);
        assert_eq!(ticket.answer().await.unwrap_err(), Unanswered::Throttled(Throttled::Function));
        for _ in 0..limits::SYNC_LANE {
            sync_lane.submit(event()).unwrap();
        }
        assert!(sync_lane.submit(event()).is_err());
        let mut first = lane.recv().await.unwrap();
        assert!(sync_lane.submit(event()).is_err());
        first.begin();
        sync_lane.submit(event()).unwrap();
    }

    #[test]
    fn large_events_take_their_room_until_they_are_gone() {
        let sync_lane = SyncLane::new();
        let mut lane = sync_lane.take_receiver().unwrap();
        let payload = Bytes::from(vec![0; limits::SYNC_PAYLOAD]);
        let next = || Event { payload: payload.clone(), ..event() };
        let fitting = limits::SYNC_LANE_BYTES / limits::SYNC_PAYLOAD;
        for _ in 0..fitting {
            sync_lane.submit(next()).unwrap();
        }
        assert!(sync_lane.submit(next()).is_err());
        sync_lane.submit(event()).unwrap();
        drop(lane.try_recv().unwrap());
        sync_lane.submit(next()).unwrap();
    }
}
