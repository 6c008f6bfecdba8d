//! Where clients reach this server: known once it listens.

use std::sync::{Arc, OnceLock};

/// The server's own address as a URL, set when it listens. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Endpoint(Arc<OnceLock<String>>);

impl Endpoint {
    /// Sets the address, for instance `http://127.0.0.1:4566`; only the first call has an effect.
    pub fn set(&self, url: String) {
        let _ = self.0.set(url.trim_end_matches('/').to_owned());
    }

    /// The address without a slash at its end; empty before it is known, which makes URLs relative.
    pub fn get(&self) -> &str {
        self.0.get().map_or("", String::as_str)
    }
}
