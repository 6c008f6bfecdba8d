//! Message queues: what SQS keeps, and what everything else of the platform can send to.
//!
//! A queue is a row, its messages are rows of its **bin**; purging gives it a new bin, and the old one is emptied in small
//! steps ([`keep`]). Sending is [`Tx::send`](crate::Tx::send), in any transaction: a message is accepted together with
//! whatever else happens there. Receiving moves a message's time of visibility, which is on disk like all the rest.
//!
//! Who waits for messages is known in memory only ([`Arrivals`]), and is woken after the commit that brings one.

mod arrivals;
mod count;
pub mod digest;
mod fifo;
mod handle;
pub mod keep;
mod moves;
mod queue;
mod receive;
mod send;
mod settle;
#[cfg(test)]
mod tests;

pub use arrivals::{Arrivals, Place};
pub use count::Counts;
pub use handle::Handle;
pub use moves::{Move, MoveState};
pub use queue::{Fifo, Filter, Queue, Redrive, Settings};
pub use receive::{Message, Ready, Received};
pub use send::{Attribute, Head, NewMessage, Sent, queue_name};
pub use settle::{Changed, Deleted};

/// The tables. Times are in milliseconds since the epoch; `seq` grows with every message of the installation.
pub(crate) const LAYOUT: &str = "
CREATE TABLE queue (id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, bin INTEGER NOT NULL, created INTEGER NOT NULL,
    modified INTEGER NOT NULL, purged INTEGER NOT NULL, target TEXT, settings TEXT NOT NULL, tags TEXT NOT NULL);
CREATE INDEX queue_target ON queue (target, arn) WHERE target IS NOT NULL;
CREATE TABLE queue_gone (arn TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE bin (id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER, total INTEGER NOT NULL);
CREATE INDEX bin_unowned ON bin (id) WHERE queue IS NULL;
CREATE TABLE message (seq INTEGER PRIMARY KEY, bin INTEGER NOT NULL, visible INTEGER NOT NULL, sent INTEGER NOT NULL,
    received INTEGER NOT NULL, first INTEGER, taken INTEGER, grp TEXT, id BLOB NOT NULL, origin TEXT, head TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX message_due ON message (bin, visible, seq, received);
CREATE INDEX message_sent ON message (bin, sent);
CREATE INDEX message_grp ON message (bin, grp, seq) WHERE grp IS NOT NULL;
CREATE TABLE message_group (bin INTEGER, grp TEXT, head INTEGER NOT NULL, visible INTEGER NOT NULL,
    PRIMARY KEY (bin, grp)) WITHOUT ROWID;
CREATE INDEX message_group_due ON message_group (bin, visible, head);
CREATE TABLE message_dedup (bin INTEGER, key TEXT, until INTEGER NOT NULL, id BLOB NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (bin, key)) WITHOUT ROWID;
CREATE INDEX message_dedup_until ON message_dedup (until);
CREATE TABLE message_move (id BLOB PRIMARY KEY, source TEXT NOT NULL, target TEXT, rate INTEGER, started INTEGER NOT NULL,
    ended INTEGER, state TEXT NOT NULL, moved INTEGER NOT NULL, total INTEGER NOT NULL, reason TEXT) WITHOUT ROWID;
CREATE INDEX message_move_source ON message_move (source, started);
CREATE INDEX message_move_running ON message_move (state) WHERE ended IS NULL;
";
