//! One process of a function, as the server holds it from its start to its end: what it says, prints and asks for.

use super::frames::{Breach, Frame};
use super::gauges::Gauges;
use super::lines::Lines;
use super::runtime::Runtime;
use super::supervision::Supervision;
use super::verdict::{End, error_text};
use crate::control::{Ending, Notice, Usage, Wish};
use crate::network::{Link, Outside};
use crate::{Error, Platform};
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until, timeout};

/// How much of a function's output is read at a time, in bytes.
const CHUNK: usize = 16 * 1024;

/// How long the launcher may take to end a sandbox and account for it: a thousand processes on a machine that is busy
/// with others take seconds.
const FAREWELL: Duration = Duration::from_secs(60);

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
}

/// A process and all that the server holds of it. Dropping it ends the process.
pub(super) struct Process {
    pub(super) supervision: Supervision,
    pub(super) runtime: Runtime,
    printed: pipe::Receiver,
    pub(super) lines: Lines,
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
    /// What it has used, once the launcher has said so.
    spent: Option<Usage>,
}

impl Process {
    pub(super) fn new(
        supervision: Supervision,
        runtime: Runtime,
        printed: pipe::Receiver,
        lines: Lines,
        platform: Platform,
        outside: Arc<Outside>,
    ) -> Process {
        Process {
            supervision,
            runtime,
            printed,
            lines,
            platform: Some(platform),
            served: None,
            outside,
            link: None,
            gauges: None,
            silent: false,
            mute: false,
            ending: None,
            spent: None,
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
        self.ending.is_none() && !self.silent && self.spent.is_none()
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
        Poll::Pending
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
                    self.runtime.listen(TcpListener::from(listener))?;
                }
            }
            Notice::Ready => {
                if let (Some(listener), Some(platform)) = (descriptors.next(), self.platform.take()) {
                    self.served = Some(platform(TcpListener::from(listener)));
                }
            }
            Notice::Gauges => self.gauges = Gauges::of(descriptors.collect()),
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    fn noticed(&mut self, notice: Notice) -> Result<Option<Happening>, Error> {
        match notice {
            Notice::Network | Notice::RuntimeApi | Notice::Ready | Notice::Gauges => {}
            Notice::Captured => return Ok(Some(Happening::Captured)),
            Notice::NotCaptured { reason } => return Ok(Some(Happening::NotCaptured(reason))),
            Notice::Failed { step, reason } => return Err(Error::Setup { step, reason }),
            Notice::NotStarted { program, errno } if self.runtime.is_custom() => {
                return Ok(Some(Happening::Ended(End::NotStarted(program, errno))));
            }
            Notice::NotStarted { errno, .. } => {
                return Err(Error::Setup { step: "start the runtime".to_owned(), reason: error_text(errno) });
            }
            Notice::Ended(ending) => self.ending = Some(End::Ended(ending)),
            Notice::Spent(usage) => {
                // Pid 1 was killed before it could say how the runtime ended.
                self.spent = Some(usage);
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

    /// Reads what was printed before now; at most what a pipe holds, for a process may still be printing. The pipe itself
    /// is asked, since what has come last may not have been noticed yet.
    pub(super) fn drain(&mut self) {
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
