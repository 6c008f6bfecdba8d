//! A small blocking HTTP client: one connection, one call after the other.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest head of an answer, in bytes.
const HEAD: usize = 64 * 1024;

/// The longest body of an answer that is kept, in bytes; the rest is read and dropped.
const KEPT: usize = 1 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where calls go.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) host: String,
    /// What stands before every path, without a slash at its end.
    pub(super) base: String,
}

impl Address {
    /// Reads an endpoint such as `http://127.0.0.1:4566`.
    pub(super) fn of(endpoint: &str) -> Result<Self> {
        let uri: ::http::Uri =
            endpoint.parse().with_context(|| format!("the endpoint {endpoint} is not a URL"))?;
        if uri.scheme_str() != Some("http") {
            bail!("the endpoint {endpoint} has to begin with http://");
        }
        let authority = uri.authority().with_context(|| format!("the endpoint {endpoint} names no host"))?;
        let host = match authority.port() {
            Some(_) => authority.to_string(),
            None => format!("{authority}:80"),
        };
        Ok(Address { host, base: uri.path().trim_end_matches('/').to_owned() })
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In small letters.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// A connection; it is opened again after a failure.
pub(super) struct Connection {
    address: Address,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn new(address: &Address) -> Self {
        Connection { address: address.clone(), stream: None, buffer: Vec::new() }
    }

    /// Opens the connection, if it is not open.
    pub(super) fn open(&mut self) -> Result<&mut TcpStream> {
        if self.stream.is_none() {
            let host = &self.address.host;
            let at = host.to_socket_addrs().with_context(|| format!("cannot find {host}"))?.next();
            let at = at.with_context(|| format!("cannot find {host}"))?;
            let stream = TcpStream::connect(at).with_context(|| format!("cannot connect to {host}"))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            self.stream = Some(stream);
        }
        self.stream.as_mut().context("no connection")
    }

    /// Makes one call; `headers` are whole lines.
    pub(super) fn call(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        let answer = self.exchange(method, path, headers, body);
        match &answer {
            Ok(answer) if !answer.head.contains("\r\nconnection: close") => {}
            _ => self.stream = None,
        }
        answer
    }

    fn exchange(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        let (host, base) = (self.address.host.clone(), self.address.base.clone());
        let mut request = std::mem::take(&mut self.buffer);
        request.clear();
        write!(
            request,
            "{method} {base}{path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )?;
        let stream = self.open()?;
        if body.len() < HEAD {
            request.extend_from_slice(body);
            stream.write_all(&request)?;
        } else {
            stream.write_all(&request)?;
            stream.write_all(body)?;
        }
        let answer = read(stream);
        self.buffer = request;
        answer
    }
}

fn read(stream: &mut TcpStream) -> Result<Answer> {
    let mut got = Vec::new();
    let mut chunk = [0; 64 * 1024];
    let begin = loop {
        more(stream, &mut got, &mut chunk)?;
        if let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if got.len() > HEAD {
            bail!("the head of an answer is too long");
        }
    };
    let head = String::from_utf8_lossy(&got[..begin]).to_lowercase();
    let status: u16 =
        head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let mut body = got.split_off(begin);
    if status == 204 || status == 304 {
        return Ok(Answer { status, head, body: Vec::new() });
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        Some(length) => {
            let mut seen = body.len();
            while seen < length {
                let count = read_some(stream, &mut chunk)?;
                seen += count;
                let room = KEPT.saturating_sub(body.len()).min(count);
                body.extend_from_slice(&chunk[..room]);
            }
        }
        None if head.contains("transfer-encoding: chunked") => {
            while !body.ends_with(b"0\r\n\r\n") {
                more(stream, &mut body, &mut chunk)?;
                if body.len() > KEPT {
                    bail!("an answer without a length is too long");
                }
            }
            body = joined(&body).context("an answer in chunks cannot be read")?;
        }
        None => {}
    }
    Ok(Answer { status, head, body })
}

/// The content of a body in chunks.
fn joined(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&chunks[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(content);
        }
        content.extend_from_slice(chunks.get(end + 2..end + 2 + size)?);
        chunks = chunks.get(end + 2 + size + 2..)?;
    }
}

fn more(stream: &mut TcpStream, got: &mut Vec<u8>, chunk: &mut [u8]) -> Result<()> {
    let count = read_some(stream, chunk)?;
    got.extend_from_slice(&chunk[..count]);
    Ok(())
}

fn read_some(stream: &mut TcpStream, chunk: &mut [u8]) -> Result<usize> {
    match stream.read(chunk)? {
        0 => bail!("the server closed the connection"),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_and_chunks_are_read() {
        let address = Address::of("http://localhost:9324/base/").unwrap();
        assert_eq!((address.host.as_str(), address.base.as_str()), ("localhost:9324", "/base"));
        assert_eq!(Address::of("http://a").unwrap().host, "a:80");
        assert!(Address::of("https://a").is_err() && Address::of("a:1").is_err());
        assert_eq!(joined(b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n").unwrap(), b"abcde");
        assert!(joined(b"9\r\nabc").is_none());
    }
}
