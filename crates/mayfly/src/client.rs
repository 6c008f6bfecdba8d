//! How the command line reads the status of a running server.

use crate::cli;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

/// The largest answer that is read, in bytes: a full page of the longest lines.
const ANSWER: usize = 300 << 20;

/// Runs what a command does.
pub(crate) fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(work) {
        // Whoever reads our output may have seen enough: `mayfly logs f | head`.
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// A server whose status is read.
pub(crate) struct Server {
    endpoint: String,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Server {
    /// The server that the flags name.
    pub(crate) fn new(flags: &cli::Server) -> Self {
        Server {
            endpoint: flags.endpoint.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// What a status endpoint answers.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let uri = format!("{}{path}", self.endpoint);
        let uri = uri.parse().with_context(|| format!("the endpoint {} is not a URL", self.endpoint))?;
        let response = self.client.get(uri).await.with_context(|| {
            format!(
                "no server answers at {}; start one with `mayfly serve` or give --endpoint",
                self.endpoint
            )
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?
            .to_bytes();
        if !status.is_success() {
            let fault: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            match fault["message"].as_str() {
                Some(message) => bail!("{message}"),
                None => bail!("the server at {} answered {status}", self.endpoint),
            }
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{} is not a Mayfly server of this version", self.endpoint))
    }
}
