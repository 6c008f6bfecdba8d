//! Brings batches to a subscriber: over HTTP or as lines over TCP, to a port inside the sandbox.
//!
//! The subscriber is part of the function and hostile: it may not answer, answer slowly, or answer without an end. Each
//! attempt has its time, and of an answer the status is all that is looked at.

use super::Tells;
use super::buffer::Buffer;
use super::subscription::Destination;
use crate::control::Tell;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use model::limits::TELEMETRY_DELIVERY;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The bytes of an answer that are read so that its connection can be used again.
const ANSWER: usize = 64 * 1024;

/// How long to wait before a batch is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// Where sockets of the sandbox come from.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Pid 1, which is asked for one.
    pub(super) tells: Arc<Tells>,
    /// Those that have come.
    pub(super) came: tokio::sync::Mutex<mpsc::Receiver<OwnedFd>>,
}

impl Sockets {
    async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let mut came = self.came.lock().await;
        // One that came after its asker had given up will do as well.
        let socket = match came.try_recv() {
            Ok(socket) => socket,
            Err(_) => {
                self.tells.say(Tell::Socket);
                came.recv().await.ok_or(io::ErrorKind::BrokenPipe)?
            }
        };
        drop(came);
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// A connection that is kept from one batch to the next.
enum Way {
    Http(SendRequest<Full<Bytes>>, JoinSet<()>),
    Tcp(TcpStream),
}

/// What a delivery works with.
pub(super) struct Delivery {
    pub(super) destination: Destination,
    pub(super) buffer: Arc<Mutex<Buffer>>,
    /// Something has changed in the buffer.
    pub(super) changed: Arc<Notify>,
    /// A batch has been delivered, or given up.
    pub(super) delivered: Arc<Notify>,
    pub(super) sockets: Arc<Sockets>,
}

impl Delivery {
    /// Delivers until it is cut off.
    pub(super) async fn run(self) {
        let mut way = None;
        loop {
            let due = self.buffer().due(Instant::now());
            match due {
                Some(due) if due > Instant::now() => {
                    tokio::select! {
                        () = sleep_until(due) => {}
                        () = self.changed.notified() => {}
                    }
                    continue;
                }
                Some(_) => {}
                None => {
                    self.changed.notified().await;
                    continue;
                }
            }
            let batch = {
                let mut buffer = self.buffer();
                buffer.delivering = true;
                buffer.take(Instant::now())
            };
            let (records, bytes) = (batch.len(), batch.iter().map(Bytes::len).sum());
            let body = self.body(batch);
            let taken = self.deliver(&mut way, body).await;
            {
                let mut buffer = self.buffer();
                buffer.delivering = false;
                if !taken {
                    buffer.lose(records, bytes);
                }
            }
            self.delivered.notify_waiters();
        }
    }

    /// Tries to deliver this a few times.
    async fn deliver(&self, way: &mut Option<Way>, body: Bytes) -> bool {
        let (time, tries) = TELEMETRY_DELIVERY;
        for attempt in 0..tries {
            if attempt > 0 {
                sleep(PAUSE * attempt).await;
            }
            match timeout(time, self.attempt(way.take(), body.clone())).await {
                Ok(Ok(kept)) => {
                    *way = kept;
                    return true;
                }
                Ok(Err(_)) => {}
                // It has had its time.
                Err(_) => return false,
            }
        }
        false
    }

    /// Delivers this, over the connection that there is or another one; gives back what can be used again.
    async fn attempt(&self, way: Option<Way>, body: Bytes) -> io::Result<Option<Way>> {
        match &self.destination {
            Destination::Tcp { port } => {
                let mut stream = match way {
                    Some(Way::Tcp(stream)) => stream,
                    _ => self.sockets.connect(*port).await?,
                };
                stream.write_all(&body).await?;
                Ok(Some(Way::Tcp(stream)))
            }
            Destination::Http { port, path, put } => {
                let (mut sender, driver) = match way {
                    Some(Way::Http(sender, driver)) if !sender.is_closed() => (sender, driver),
                    _ => {
                        let stream = self.sockets.connect(*port).await?;
                        let made = http1::Builder::new().max_buf_size(ANSWER).handshake(TokioIo::new(stream));
                        let (sender, connection) = made.await.map_err(io::Error::other)?;
                        let mut driver = JoinSet::new();
                        driver.spawn(async move { drop(connection.await) });
                        (sender, driver)
                    }
                };
                sender.ready().await.map_err(io::Error::other)?;
                let request = Request::builder()
                    .method(if *put { Method::PUT } else { Method::POST })
                    .uri(path)
                    .header("Host", format!("sandbox.localdomain:{port}"))
                    .header("Content-Type", "application/json")
                    .body(Full::new(body))
                    .map_err(io::Error::other)?;
                let mut answer = sender.send_request(request).await.map_err(io::Error::other)?;
                if !answer.status().is_success() {
                    return Err(io::Error::other("the subscriber refuses"));
                }
                let mut left = ANSWER;
                while let Some(Ok(frame)) = answer.body_mut().frame().await {
                    left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                    if left == 0 {
                        return Ok(None);
                    }
                }
                Ok(Some(Way::Http(sender, driver)))
            }
        }
    }

    /// The records as they are sent: a JSON list, or lines.
    fn body(&self, batch: Vec<Bytes>) -> Bytes {
        let lines = matches!(self.destination, Destination::Tcp { .. });
        let size = batch.iter().map(|record| record.len() + 1).sum::<usize>() + 2;
        let mut body = BytesMut::with_capacity(size);
        for (number, record) in batch.iter().enumerate() {
            match (lines, number) {
                (true, _) => {}
                (false, 0) => body.extend_from_slice(b"["),
                (false, _) => body.extend_from_slice(b","),
            }
            body.extend_from_slice(record);
            if lines {
                body.extend_from_slice(b"\n");
            }
        }
        if !lines {
            body.extend_from_slice(b"]");
        }
        body.freeze()
    }

    fn buffer(&self) -> std::sync::MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
