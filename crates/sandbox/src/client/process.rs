//! One process of a function, as the server holds it from its start to its end: what it says, prints and asks for.

use super::extensions::{Extended, Goal};
use super::frames::{Breach, Frame, Invocation};
use super::gauges::Gauges;
use super::lines::Lines;
use super::runtime::Runtime;
use super::runtime_api::serve_extensions;
use super::supervision::Supervision;
use super::telemetry::tracing;
use super::verdict::{End, error_text};
use crate::control::{Ending, Notice, Tell, Usage, Wish};
use crate::network::{Link, Outside};
use crate::{Error, Line, Platform};
use serde_json::json;
use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// How much of a function's output is read at a time, in bytes.
const CHUNK: usize = 16 * 1024;

/// How long the launcher may take to end a sandbox and account for it: a thousand processes on a machine that is busy
/// with others take seconds.
const FAREWELL: Duration = Duration::from_secs(60);

/// How long its template may look at a process.
const LESSON: Duration = Duration::from_millis(500);

/// How long what a process has sent may be on its way after its end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What a process does that somebody has to act on.
#[derive(Debug)]
pub(super) enum Happening {
    /// Its runtime says something.
    Said(Frame),
    /// It has become a template.
    Captured,
    /// It cannot become a template, for this reason.
    NotCaptured(String),
    /// It has come to its end, or its time is up.
    Ended(End),
}

/// What came in, before anything was made of it.
enum Input {
    Said(Result<Frame, Breach>),
    Noticed(Notice),
    /// An extension has failed.
    Failed(End),
}

/// A process and all that the server holds of it. Dropping it ends the process.
pub(super) struct Process {
    pub(super) supervision: Supervision,
    pub(super) runtime: Runtime,
    printed: pipe::Receiver,
    pub(super) lines: Lines,
    /// Its extensions, if it may have any.
    pub(super) extended: Option<Box<Extended>>,
    platform: Option<Platform>,
    /// What serves the platform; ends with the process.
    served: Option<Box<dyn Send>>,
    outside: Arc<Outside>,
    /// Serves the function's packets, if it may send any; ends with the process.
    link: Option<Link>,
    pub(super) gauges: Option<Gauges>,
    /// The runtime has closed its channel: only its end can be waited for.
    silent: bool,
    /// The log pipe is closed.
    mute: bool,
    /// How it has ended, while its last words are heard.
    ending: Option<End>,
    /// The runtime's process is gone.
    over: bool,
    /// What it has used, once the launcher has said so.
    spent: Option<Usage>,
    /// From how many more processes like this one its template learns.
    pub(super) lessons: Option<Arc<AtomicU8>>,
}

impl Process {
    pub(super) fn new(
        supervision: Supervision,
        runtime: Runtime,
        printed: pipe::Receiver,
        lines: Lines,
        extended: Option<Box<Extended>>,
        platform: Platform,
        outside: Arc<Outside>,
    ) -> Process {
        Process {
            supervision,
            runtime,
            printed,
            lines,
            extended,
            platform: Some(platform),
            served: None,
            outside,
            link: None,
            gauges: None,
            silent: false,
            mute: false,
            ending: None,
            over: false,
            spent: None,
            lessons: None,
        }
    }

    /// What it does next, or that its time is up. A process may answer and end at once, or answer and go on until its
    /// time is up: what it said before comes first.
    pub(super) async fn next(&mut self, deadline: Instant) -> Result<Happening, Error> {
        let mut time = pin!(sleep_until(deadline));
        loop {
            if let Some(ended) = self.last_words().await? {
                return Ok(ended);
            }
            let input = tokio::select! {
                // In this order: neither endless output nor endless frames put the deadline off.
                biased;
                () = &mut time => {
                    self.ending = Some(End::TimedOut);
                    continue;
                }
                input = poll_fn(|cx| self.poll_input(cx)) => input?,
            };
            let happening = match input {
                Input::Said(said) => self.said(said),
                Input::Noticed(notice) => self.noticed(notice)?,
                Input::Failed(end) => Some(Happening::Ended(end)),
            };
            if let Some(happening) = happening {
                return Ok(happening);
            }
        }
    }

    /// Looks after a process that waits: reads what it prints, serves what it asks for. Ready when it does anything
    /// else, for then no event may be given to it.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        let input = self.poll_input(cx);
        self.silent |= input.is_ready();
        input.map(|input| match input {
            Ok(Input::Said(Err(Breach::Closed)) | Input::Noticed(Notice::Ended(_) | Notice::Spent(_))) => {
                "it has ended".to_owned()
            }
            Ok(Input::Noticed(Notice::Failed { step, reason })) => format!("{step}: {reason}"),
            Ok(Input::Failed(_)) => "an extension of it has failed".to_owned(),
            Ok(_) => "it spoke when nobody had asked".to_owned(),
            Err(error) => error.to_string(),
        })
    }

    /// Whether a process that waits can be given an event, as its sockets themselves tell: what has just happened to it
    /// may not have been noticed yet.
    pub(super) fn is_sound(&mut self) -> bool {
        if !self.lives() {
            return false;
        }
        while let Some(notice) = self.supervision.now() {
            let other = notice.and_then(|(notice, descriptors)| self.take_in(notice, descriptors));
            if !matches!(other, Ok(None)) {
                return false;
            }
        }
        self.runtime.is_quiet() && self.poll_wait(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// What it has used by now; none where that cannot be known before its end.
    pub(super) fn used(&self) -> Option<Usage> {
        self.gauges.as_ref().and_then(Gauges::read)
    }

    /// Whether its last frame came after its time was up.
    pub(super) fn is_late(&self) -> bool {
        matches!(self.ending, Some(End::TimedOut))
    }

    /// Whether nothing has been heard of its end.
    pub(super) fn lives(&self) -> bool {
        let failed = || self.extended.as_ref().is_some_and(|extended| extended.roster().failure().is_some());
        self.ending.is_none() && !self.silent && self.spent.is_none() && !failed()
    }

    /// Waits until its extensions have come to `goal`; if they do not, how it ended. Everything else it may say is for
    /// another time.
    pub(super) async fn until(&mut self, goal: Goal, deadline: Instant) -> Result<Option<End>, Error> {
        let Some(shared) = self.extended.as_ref().map(|extended| Arc::clone(&extended.shared)) else {
            return Ok(None);
        };
        if !shared.roster.counts().0 && shared.roster.failure().is_none() {
            return Ok(None);
        }
        let mut reached = pin!(shared.roster.reach(goal));
        loop {
            tokio::select! {
                biased;
                reached = &mut reached => return Ok(reached.err()),
                happening = self.next(deadline) => match happening? {
                    Happening::Ended(end) => return Ok(Some(end)),
                    // A custom runtime that asks for its next event.
                    Happening::Said(Frame::Ready) => {}
                    _ => return Ok(Some(End::Garbage)),
                },
            }
        }
    }

    /// Its initialisation is over, or has failed: the log and telemetry have it.
    pub(super) fn initialised(&mut self, end: Option<&End>, began: Instant) {
        let Some(extended) = &self.extended else { return };
        if extended.roster().counts().0 {
            let lines = extended.initialised(end.map(End::kind).as_deref(), began.elapsed());
            lines.into_iter().for_each(|line| self.lines.say(line));
        }
    }

    /// Its extensions hear of the event that its runtime is about to get.
    pub(super) fn invoke(&self, invocation: &Invocation<'_>, version: &str) {
        let Some(extended) = &self.extended else { return };
        let (id, trace) = (&invocation.request_id, tracing(&invocation.trace_id));
        extended
            .hub()
            .tell("platform.start", || json!({"requestId": id, "version": version, "tracing": trace}));
        extended.roster().invoke(|| {
            let document = json!({
                "eventType": "INVOKE",
                "deadlineMs": invocation.deadline_ms,
                "requestId": id,
                "invokedFunctionArn": invocation.function_arn,
                "tracing": trace,
            });
            document.to_string().into()
        });
    }

    /// From here on lines belong to an event, as [`Lines::begin`] says.
    pub(super) fn begin_lines(&mut self, to: Sender<Line>, warning: Option<&str>) {
        if let Some(extended) = &mut self.extended {
            extended.lines.begin(to.clone(), None);
        }
        self.lines.begin(to, warning);
    }

    /// Ends the log of the event, as [`Lines::finish`] says.
    pub(super) async fn finish_lines(&mut self) {
        if let Some(extended) = &mut self.extended {
            extended.lines.finish().await;
        }
        self.lines.finish().await;
    }

    /// Tells its pid 1 something; false if that does not listen.
    pub(super) fn tell(&self, tell: Tell) -> bool {
        self.extended.as_ref().is_some_and(|extended| extended.tell(tell))
    }

    /// Looks after it while `work` is done, whatever it says or however it ends; none if that takes longer than `until`.
    pub(super) async fn attend<T>(&mut self, until: Instant, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let attended = poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            match self.poll_input(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(input) => match self.overhear(input) {
                    Ok(()) => {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                    Err(_) => Poll::Ready(None),
                },
            }
        });
        timeout_at(until, attended).await.ok().flatten()
    }

    /// Whether the runtime's process is gone, or goes by `until`.
    pub(super) async fn is_over(&mut self, until: Instant) -> bool {
        while !self.over {
            let Ok(input) = timeout_at(until, poll_fn(|cx| self.poll_input(cx))).await else { break };
            if self.overhear(input).is_err() {
                break;
            }
        }
        self.over
    }

    /// Takes in what comes when nobody asks for it any more.
    fn overhear(&mut self, input: Result<Input, Error>) -> Result<(), Error> {
        match input? {
            Input::Noticed(notice) => drop(self.noticed(notice)?),
            // Its channel is closed.
            Input::Said(Err(_)) => self.silent = true,
            Input::Said(Ok(_)) | Input::Failed(_) => {}
        }
        Ok(())
    }

    /// The next thing that comes in.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<Input, Error>> {
        while let Poll::Ready(notice) = self.supervision.poll_next(cx) {
            let (notice, descriptors) = notice?;
            if let Some(notice) = self.take_in(notice, descriptors)? {
                return Poll::Ready(Ok(Input::Noticed(notice)));
            }
        }
        if !self.silent
            && let Poll::Ready(said) = self.runtime.poll_next(cx)
        {
            return Poll::Ready(Ok(Input::Said(said)));
        }
        if !self.mute {
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            match Pin::new(&mut self.printed).poll_read(cx, &mut chunk) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {
                    self.lines.print(chunk.filled());
                    // Whoever takes the lines has a turn before there are more.
                    cx.waker().wake_by_ref();
                }
                Poll::Ready(_) => self.mute = true,
            }
        }
        match &mut self.extended {
            Some(extended) => extended.poll(cx).map(|end| Ok(Input::Failed(end))),
            None => Poll::Pending,
        }
    }

    /// Takes in what comes with descriptors; everything else is handed on.
    fn take_in(&mut self, notice: Notice, descriptors: Vec<OwnedFd>) -> Result<Option<Notice>, Error> {
        let mut descriptors = descriptors.into_iter();
        match notice {
            Notice::Network => {
                if let Some(device) = descriptors.next() {
                    self.link = Some(Link::serve(device, Arc::clone(&self.outside))?);
                }
            }
            Notice::RuntimeApi => {
                if let Some(listener) = descriptors.next() {
                    let extensions = self.extended.as_ref().map(|extended| Arc::clone(&extended.shared));
                    let rest = self.runtime.listen(TcpListener::from(listener), extensions)?;
                    if let (Some(listener), Some(extended)) = (rest, &mut self.extended) {
                        extended.server = serve_extensions(listener, Arc::clone(&extended.shared))?;
                    }
                }
            }
            Notice::Socket => {
                if let (Some(socket), Some(extended)) = (descriptors.next(), &self.extended) {
                    extended.hub().socket_came(socket);
                }
            }
            Notice::ExtensionEnded(number, ending) => {
                if let Some(extended) = &self.extended {
                    extended.roster().ended(number, ending);
                }
            }
            Notice::ExtensionNotStarted(number, errno) => {
                if let Some(extended) = &self.extended {
                    extended.roster().not_started(number, &error_text(errno));
                }
            }
            Notice::Ready => {
                if let (Some(listener), Some(platform)) = (descriptors.next(), self.platform.take()) {
                    self.served = Some(platform(TcpListener::from(listener)));
                }
            }
            Notice::Gauges { cpu_before_us } => {
                self.gauges = Gauges::of(descriptors.collect(), cpu_before_us);
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    fn noticed(&mut self, notice: Notice) -> Result<Option<Happening>, Error> {
        match notice {
            Notice::Network | Notice::RuntimeApi | Notice::Ready | Notice::Gauges { .. } => {}
            Notice::Socket | Notice::ExtensionEnded(..) | Notice::ExtensionNotStarted(..) => {}
            Notice::Learned => {}
            Notice::Captured => return Ok(Some(Happening::Captured)),
            Notice::NotCaptured { reason } => return Ok(Some(Happening::NotCaptured(reason))),
            Notice::Failed { step, reason } => return Err(Error::Setup { step, reason }),
            Notice::NotStarted { program, errno } if self.runtime.is_custom() => {
                return Ok(Some(Happening::Ended(End::NotStarted(program, errno))));
            }
            Notice::NotStarted { errno, .. } => {
                return Err(Error::Setup { step: "start the runtime".to_owned(), reason: error_text(errno) });
            }
            Notice::Ended(ending) => {
                self.ending = Some(End::Ended(ending));
                self.over = true;
            }
            Notice::Spent(usage) => {
                // Pid 1 was killed before it could say how the runtime ended.
                self.spent = Some(usage);
                self.over = true;
                self.ending = Some(End::Ended(Ending::Signal(libc::SIGKILL)));
            }
        }
        Ok(None)
    }

    fn said(&mut self, said: Result<Frame, Breach>) -> Option<Happening> {
        match said {
            Ok(frame) => Some(Happening::Said(frame)),
            Err(breach) => {
                let end = End::of(&breach);
                self.silent |= end.is_none();
                end.map(Happening::Ended)
            }
        }
    }

    /// If it has ended: what it has said and nobody has heard, and after that its end.
    async fn last_words(&mut self) -> Result<Option<Happening>, Error> {
        let Some(end) = &self.ending else { return Ok(None) };
        let patience = matches!(end, End::Ended(_)).then_some(LAST_WORDS);
        while let Some(said) = self.runtime.rest(patience).await {
            if let Some(happening) = self.said(said) {
                return Ok(Some(happening));
            }
        }
        Ok(self.ending.clone().map(Happening::Ended))
    }

    /// Ends it and says what it has used: by now if it has `answered`, else when the last process is gone.
    pub(super) async fn end(&mut self, answered: bool) -> Result<Usage, Error> {
        if answered {
            self.teach().await;
        }
        if answered && let Some(usage) = self.used() {
            // Its socket goes first: the next process in its place may want the address.
            self.served = None;
            if let Some(link) = self.link.take() {
                link.close().await;
            }
            self.supervision.wish(Wish::Forget);
            self.drain();
            return Ok(usage);
        }
        self.supervision.wish(if answered { Wish::EndNow } else { Wish::End });
        self.drain();
        match self.spent {
            Some(usage) => Ok(usage),
            None => timeout(FAREWELL, self.account())
                .await
                .map_err(|_| Error::LauncherGone(std::io::ErrorKind::TimedOut.into()))?,
        }
    }

    /// Lets the template that it was copied from learn which memory its event took, if that still learns. The runtime goes
    /// when its channel closes, so this comes before.
    async fn teach(&mut self) {
        let one_less = |left: u8| left.checked_sub(1);
        let wanted = |lessons: &Arc<AtomicU8>| lessons.fetch_update(Relaxed, Relaxed, one_less).is_ok();
        if self.over || !self.lessons.as_ref().is_some_and(wanted) {
            return;
        }
        self.supervision.wish(Wish::Learn);
        let learned = async {
            while !self.over {
                match poll_fn(|cx| self.supervision.poll_next(cx)).await {
                    Ok((Notice::Learned, _)) => break,
                    Ok((notice, _)) => drop(self.noticed(notice)),
                    // The launcher is gone, which whoever asks it next is told.
                    Err(_) => break,
                }
            }
        };
        // Without it, later events take a little longer.
        let _ = timeout(LESSON, learned).await;
    }

    /// Reads what was printed before now; at most what a pipe holds, for a process may still be printing. The pipe itself
    /// is asked, since what has come last may not have been noticed yet.
    pub(super) fn drain(&mut self) {
        if let Some(extended) = &mut self.extended {
            extended.drain();
        }
        let mut chunk = [0; CHUNK];
        for _ in 0..(64 * 1024 / CHUNK) + 1 {
            match nix::unistd::read(&self.printed, &mut chunk) {
                Ok(length) if length > 0 => self.lines.print(&chunk[..length]),
                _ => break,
            }
        }
    }

    async fn account(&mut self) -> Result<Usage, Error> {
        loop {
            match poll_fn(|cx| self.supervision.poll_next(cx)).await? {
                (Notice::Spent(usage), _) => return Ok(usage),
                (Notice::Failed { step, reason }, _) => return Err(Error::Setup { step, reason }),
                _ => {}
            }
        }
    }
}
