//! Receipt handles: which message was received, and for the how manieth time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

/// What every handle begins with.
const MARK: &str = "AQEB";

/// What a receipt handle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The queue's row.
    pub(super) queue: i64,
    /// The message's row.
    pub(super) seq: i64,
    /// How often the message had been received by then.
    pub(super) received: u32,
    /// The message's id, which nobody can guess.
    pub(super) id: Uuid,
}

impl Handle {
    /// Reads a handle; `None` for text that is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(MARK)?).ok()?;
        let (queue, rest) = bytes.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (received, id) = rest.split_first_chunk()?;
        Some(Handle {
            queue: i64::from_be_bytes(*queue),
            seq: i64::from_be_bytes(*seq),
            received: u32::from_be_bytes(*received),
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = [0; 36];
        bytes[..8].copy_from_slice(&self.queue.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.received.to_be_bytes());
        bytes[20..].copy_from_slice(self.id.as_bytes());
        write!(f, "{MARK}{}", STANDARD.encode(bytes))
    }
}
