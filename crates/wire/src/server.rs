//! Connections: accepted, bounded in number, served, and closed in an orderly way.

use crate::{Caller, Request, Service, idle, unread};
use http::Version;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use model::{Clock, RequestId, limits};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// How long to wait before accepting again when the machine is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections of `listener`, at most `room` at a time and all of them from `caller`, until `stop` becomes true;
/// then lets requests under way finish for at most `grace`.
pub async fn serve(
    listener: TcpListener,
    room: usize,
    caller: Caller,
    service: Arc<dyn Service>,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    // How long to wait for a head is known where the bytes are read.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(128);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(room));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = stopped(&mut stop) => break,
        };
        let Some((stream, permit)) = accepted else { continue };
        let (caller, service, clock) = (caller.clone(), service.clone(), clock.clone());
        let state = idle::State::new();
        let stream = TokioIo::new(stream);
        let stream = idle::Watched::new(stream, state.clone(), limits::IDLE_CONNECTION, limits::REQUEST_HEAD);
        let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (head, body) = request.into_parts();
            state.begin(head.version > Version::HTTP_11);
            let answered = state.until_answered();
            let id = RequestId::new(clock.now());
            let (body, unread) = unread::watch(body, &head);
            let request = Request { head, body, caller: caller.clone(), credential: None, id };
            let service = service.clone();
            async move {
                let mut answer = service.call(request).await;
                unread::tell(&unread, &mut answer);
                Ok::<_, Infallible>(answer.map(|body| body.answering(answered)))
            }
        });
        let connection = graceful.watch(builder.serve_connection(stream, answer).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    let finished = tokio::time::timeout(grace, graceful.shutdown()).await.is_ok();
    // Without any grace nothing was waited for, and nothing is worth telling.
    if !finished && !grace.is_zero() {
        tracing::info!("requests still under way after the grace period are cut off");
    }
}

/// Returns when `stop` becomes true, or when nobody is left to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small answers should not wait for more to send.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
