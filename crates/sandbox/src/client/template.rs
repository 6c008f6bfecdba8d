//! Templates: processes that are initialised once and copied for each event.

use super::Sandbox;
use super::extensions;
use super::frames::Frame;
use super::launch;
use super::prepared::{Prepared, deadline, reason};
use super::process::{Happening, Process};
use super::run::initialise;
use crate::control::{Order, Wish};
use crate::environment::{self, Purpose};
use crate::{Error, Function, Line, Platform};
use model::StartKind;
use model::limits::{CAPTURE, RESTORE};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::time::Instant;

/// An initialised process that is copied and never runs again. Dropping it ends it when its last copy has ended.
///
/// While it is held, [`Template::poll_wait`] must be called: it may die.
pub struct Template {
    process: Process,
    original: Arc<Original>,
    memory: Option<u64>,
}

/// What is copied, as one who makes copies has to know it.
#[derive(Debug)]
pub struct Original {
    number: u64,
    function: Function,
    /// Copies are spoken to through the Runtime API.
    custom: bool,
    warning: Option<String>,
    /// From how many copies that have answered it still learns which memory events use.
    lessons: Arc<AtomicU8>,
}

/// From how many copies a template learns.
const LESSONS: u8 = 3;

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("original", &self.original).finish_non_exhaustive()
    }
}

/// What came of making a template.
#[derive(Debug)]
pub enum Captured {
    /// It stands.
    Template(Box<Template>),
    /// The function cannot be copied.
    Refused {
        /// Why not, in words for the function's owner.
        reason: String,
        /// The process that was started for it, if it may still serve one event.
        process: Option<Box<Prepared>>,
    },
}

impl Captured {
    fn refused(reason: impl Into<String>) -> Captured {
        Captured::Refused { reason: reason.into(), process: None }
    }
}

/// Starts a process of `function`, lets it initialise, and has it captured.
pub(super) async fn make(
    sandbox: &Sandbox,
    function: &Function,
    platform: Platform,
) -> Result<Captured, Error> {
    let names = extensions::names(function);
    if let Some(name) = names.first() {
        let reason = format!("it has extensions ({name}), which are processes beside the runtime");
        return ready_instead(sandbox, function, platform, reason).await;
    }
    if let Some(path) = launch::wrapper(function) {
        let reason =
            format!("its wrapper ({path}) is started before the runtime, and may start other processes");
        return ready_instead(sandbox, function, platform, reason).await;
    }
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let ready_by = deadline(&function.spec);
    let (mut process, warning) =
        launch::start(sandbox, function, Purpose::Template, platform, Some(number)).await?;
    if let Some(end) = initialise(&mut process, ready_by).await? {
        return Ok(Captured::refused(reason(&end)));
    }
    if process.extended.as_ref().is_some_and(|extended| extended.roster().counts().0) {
        // Its extensions wait on connections that no copy has.
        let reason = "an internal extension has registered".to_owned();
        let process = Prepared::new(process, function, StartKind::Ready, warning);
        return Ok(Captured::Refused { reason, process: Some(Box::new(process)) });
    }
    if process.runtime.announce_capture() {
        match process.next(ready_by).await? {
            Happening::Said(Frame::Snapshot) => {}
            Happening::Said(Frame::InitError(document)) => {
                let error = model::FunctionError::read(&document);
                let what =
                    error.map_or(String::new(), |e| format!(": {}: {}", e.error_type, e.error_message));
                return Ok(Captured::refused(format!("a hook before the snapshot failed{what}")));
            }
            Happening::Ended(end) => return Ok(Captured::refused(reason(&end))),
            _ => return Ok(Captured::refused("it broke the protocol")),
        }
    }
    process.supervision.wish(Wish::Capture);
    let reason = match process.next(Instant::now() + CAPTURE).await? {
        Happening::Captured => {
            let memory = process.used().map(|used| used.peak_memory);
            let (function, custom) = (function.clone(), process.runtime.is_custom());
            let lessons = Arc::new(AtomicU8::new(LESSONS));
            let original = Arc::new(Original { number, function, custom, warning, lessons });
            return Ok(Captured::Template(Box::new(Template { process, original, memory })));
        }
        Happening::NotCaptured(reason) => reason,
        Happening::Ended(super::verdict::End::TimedOut) => {
            return Ok(Captured::refused("it could not be captured in time"));
        }
        _ => return Ok(Captured::refused("its process ended while it was captured")),
    };
    let resumed = resume(&mut process, BTreeMap::new(), false).await?;
    let process =
        resumed.ok().map(|()| Box::new(Prepared::new(process, function, StartKind::Ready, warning)));
    Ok(Captured::Refused { reason, process })
}

/// Makes a process that is not copied, for this reason.
async fn ready_instead(
    sandbox: &Sandbox,
    function: &Function,
    platform: Platform,
    reason: String,
) -> Result<Captured, Error> {
    let made = super::prepared::prepare(sandbox, function, platform).await?;
    Ok(match made {
        Ok(process) => Captured::Refused { reason, process: Some(Box::new(process)) },
        Err(failed) => Captured::refused(failed),
    })
}

/// Copies what was captured, and waits until the copy is ready for an event.
pub(super) async fn copy(
    sandbox: &Sandbox,
    original: &Original,
    platform: Platform,
) -> Result<Result<Prepared, String>, Error> {
    let Original { number, function, custom, warning, lessons } = original;
    let order = Order::Clone { template: *number };
    let mut process = launch::order(sandbox, &order, *custom, platform, launch::More::default()).await?;
    process.runtime.is_copy();
    process.lessons = Some(Arc::clone(lessons));
    let spec = &function.spec;
    let stream = environment::log_stream(spec, process.lines.now());
    let resumed = resume(&mut process, BTreeMap::from([(environment::LOG_STREAM, stream)]), true).await?;
    Ok(resumed.map(|()| Prepared::new(process, function, StartKind::Clone, warning.clone())))
}

/// Lets a process go on that was captured or copied, until it is ready for an event. Where the runtime has no word for
/// that, a copy connects anew, and one that was not captured still waits for its event.
async fn resume(
    process: &mut Process,
    environment: BTreeMap<&str, String>,
    copied: bool,
) -> Result<Result<(), String>, Error> {
    if !process.runtime.resume(&environment)? && !copied {
        return Ok(Ok(()));
    }
    let end = initialise(process, Instant::now() + RESTORE).await?;
    Ok(end.map_or(Ok(()), |end| Err(reason(&end))))
}

impl Template {
    /// What [`Sandbox::clone_of`] copies.
    pub fn original(&self) -> Arc<Original> {
        Arc::clone(&self.original)
    }

    /// Looks after the template; ready, with the reason, when it can be copied no more.
    pub fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        self.process.poll_wait(cx)
    }

    /// The most memory that it has held, in bytes; none where that cannot be known.
    pub fn memory(&self) -> Option<u64> {
        self.memory.filter(|memory| *memory > 0)
    }

    /// What it printed before it was captured; each line once.
    pub fn printed(&mut self) -> Vec<Line> {
        self.process.lines.take_held()
    }
}
