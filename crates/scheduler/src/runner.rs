//! What runs functions: the sandbox, or a stand-in for tests of the scheduler.

use async_trait::async_trait;
use model::{Outcome, StartKind};
use sandbox::{Error, Function, Hooks, Job, Line, Platform, Report, Sandbox};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};

/// Makes processes and runs jobs in them.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Whether processes can be copied here, or why not.
    fn templates(&self) -> Result<(), String>;

    /// Runs one job in a fresh process; gives the process back if the job wants it kept and it can serve another event.
    ///
    /// # Errors
    /// The platform's own faults only.
    async fn run(&self, job: Job, hooks: Hooks) -> Result<(Report, Option<Box<dyn Process>>), Error>;

    /// Starts a process and lets it initialise, ahead of an event; or says why it did not come to that.
    ///
    /// # Errors
    /// The platform's own faults only.
    async fn prepare(
        &self,
        function: &Function,
        platform: Platform,
    ) -> Result<Result<Box<dyn Process>, String>, Error>;

    /// Starts a process, lets it initialise, and makes it a template if it can be copied safely.
    ///
    /// # Errors
    /// The platform's own faults only; that it cannot be copied is none.
    async fn template(self: Arc<Self>, function: &Function, platform: Platform) -> Result<Captured, Error>;
}

/// An initialised process that waits for an event. Dropping it ends it.
#[async_trait]
pub trait Process: Send {
    /// How it came to be.
    fn kind(&self) -> StartKind;

    /// The most memory that it has held, in bytes, if that is known.
    fn memory(&self) -> Option<u64>;

    /// Looks after it; ready, with the reason, when it can serve no event.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String>;

    /// Whether it can be given an event at this moment.
    fn is_sound(&mut self) -> bool;

    /// Hands the job to it; gives it back if the job wants it kept and it can serve another event. If it has more to do
    /// after the answer, `answered` has the outcome then.
    ///
    /// # Errors
    /// The platform's own faults only.
    async fn run(
        self: Box<Self>,
        job: Job,
        lines: mpsc::Sender<Line>,
        answered: oneshot::Sender<Outcome>,
    ) -> Result<(Report, Option<Box<dyn Process>>), Error>;
}

/// A process that is copied. Dropping it ends it when its last copy has ended.
pub trait Template: Send {
    /// The most memory that it has held, in bytes, if that is known.
    fn memory(&self) -> Option<u64>;

    /// Looks after it; ready, with the reason, when it can be copied no more.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String>;

    /// What it printed before it was captured.
    fn printed(&mut self) -> Vec<Line>;

    /// What makes its copies.
    fn copier(&self) -> Arc<dyn Copier>;
}

/// Makes copies of a template.
#[async_trait]
pub trait Copier: Send + Sync {
    /// Makes one and waits until it is ready for an event; or says why it is not.
    ///
    /// # Errors
    /// The platform's own faults, and that the template is gone.
    async fn copy(&self, platform: Platform) -> Result<Result<Box<dyn Process>, String>, Error>;
}

/// What came of making a template.
pub enum Captured {
    /// It stands.
    Template(Box<dyn Template>),
    /// The function cannot be copied.
    Refused {
        /// Why not, in words for the function's owner.
        reason: String,
        /// The process that was started for it, if it may still serve one event.
        process: Option<Box<dyn Process>>,
    },
}

#[async_trait]
impl Runner for Sandbox {
    fn templates(&self) -> Result<(), String> {
        self.features().templates.clone()
    }

    async fn run(&self, job: Job, hooks: Hooks) -> Result<(Report, Option<Box<dyn Process>>), Error> {
        Sandbox::run(self, job, hooks).await.map(boxed)
    }

    async fn prepare(
        &self,
        function: &Function,
        platform: Platform,
    ) -> Result<Result<Box<dyn Process>, String>, Error> {
        Ok(Sandbox::prepare(self, function, platform).await?.map(|process| Box::new(process) as _))
    }

    async fn template(self: Arc<Self>, function: &Function, platform: Platform) -> Result<Captured, Error> {
        Ok(match Sandbox::template(&self, function, platform).await? {
            sandbox::Captured::Template(template) => {
                Captured::Template(Box::new(InSandbox { sandbox: self, template: *template }))
            }
            sandbox::Captured::Refused { reason, process } => {
                Captured::Refused { reason, process: process.map(|process| process as _) }
            }
        })
    }
}

fn boxed((report, kept): (Report, Option<sandbox::Prepared>)) -> (Report, Option<Box<dyn Process>>) {
    (report, kept.map(|process| Box::new(process) as _))
}

#[async_trait]
impl Process for sandbox::Prepared {
    fn kind(&self) -> StartKind {
        sandbox::Prepared::kind(self)
    }

    fn memory(&self) -> Option<u64> {
        sandbox::Prepared::memory(self)
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        sandbox::Prepared::poll_wait(self, cx)
    }

    fn is_sound(&mut self) -> bool {
        sandbox::Prepared::is_sound(self)
    }

    async fn run(
        self: Box<Self>,
        job: Job,
        lines: mpsc::Sender<Line>,
        answered: oneshot::Sender<Outcome>,
    ) -> Result<(Report, Option<Box<dyn Process>>), Error> {
        sandbox::Prepared::run(*self, job, lines, answered).await.map(boxed)
    }
}

/// A template, and the sandbox that copies it.
struct InSandbox {
    sandbox: Arc<Sandbox>,
    template: sandbox::Template,
}

impl Template for InSandbox {
    fn memory(&self) -> Option<u64> {
        self.template.memory()
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        self.template.poll_wait(cx)
    }

    fn printed(&mut self) -> Vec<Line> {
        self.template.printed()
    }

    fn copier(&self) -> Arc<dyn Copier> {
        Arc::new(OfSandbox { sandbox: Arc::clone(&self.sandbox), original: self.template.original() })
    }
}

struct OfSandbox {
    sandbox: Arc<Sandbox>,
    original: Arc<sandbox::Original>,
}

#[async_trait]
impl Copier for OfSandbox {
    async fn copy(&self, platform: Platform) -> Result<Result<Box<dyn Process>, String>, Error> {
        let copied = self.sandbox.clone_of(&self.original, platform).await?;
        Ok(copied.map(|process| Box::new(process) as _))
    }
}
