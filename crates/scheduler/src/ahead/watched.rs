//! Processes and templates that wait, each looked after by a task until it is taken.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::task::{AbortHandle, JoinSet};

/// How something that waits is looked after; ready, with the reason, when it is of no use any more.
pub(super) type Look<T> = fn(&mut T, &mut Context<'_>) -> Poll<String>;

/// Something that waits. Taking it costs no turn of another task.
pub(super) struct Watched<T: ?Sized> {
    slot: Arc<Mutex<Option<Box<T>>>>,
    task: AbortHandle,
}

impl<T: ?Sized + Send + 'static> Watched<T> {
    /// Looks after `thing` in a task among `tasks`, which says why when it is of no use any more.
    pub(super) fn new(
        thing: Box<T>,
        look: Look<T>,
        tasks: &mut JoinSet<()>,
        lost: impl FnOnce(String) + Send + 'static,
    ) -> Watched<T> {
        let slot = Arc::new(Mutex::new(Some(thing)));
        let watched = Arc::clone(&slot);
        let task = tasks.spawn(async move {
            let reason = poll_fn(|cx| match held(&watched).as_mut() {
                Some(thing) => look(thing, cx).map(Some),
                None => Poll::Ready(None),
            });
            if let Some(reason) = reason.await {
                // It ends outside the lock.
                let thing = held(&watched).take();
                drop(thing);
                lost(reason);
            }
        });
        Watched { slot, task }
    }

    /// Takes it, if it is still there.
    pub(super) fn take(self) -> Option<Box<T>> {
        held(&self.slot).take()
    }

    /// Whether it is still there.
    pub(super) fn is_there(&self) -> bool {
        held(&self.slot).is_some()
    }
}

impl<T: ?Sized> Drop for Watched<T> {
    fn drop(&mut self) {
        self.task.abort();
        let thing = held(&self.slot).take();
        drop(thing);
    }
}

fn held<T: ?Sized>(slot: &Mutex<Option<Box<T>>>) -> MutexGuard<'_, Option<Box<T>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
