//! The smallest custom runtime: no crates, linked statically. With a Runtime API it answers its event with the event;
//! without one, as its peers in the bench run it, it answers what stands on its standard input.

use std::io::{Read, Write};
use std::net::TcpStream;

fn main() {
    let Ok(api) = std::env::var("AWS_LAMBDA_RUNTIME_API") else {
        let mut event = Vec::new();
        std::io::stdin().read_to_end(&mut event).unwrap();
        std::io::stdout().write_all(&event).unwrap();
        return;
    };
    let mut api = TcpStream::connect(api).unwrap();
    api.set_nodelay(true).unwrap();
    loop {
        let (head, event) = ask(&mut api, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n", b"");
        let id = header(&head, "lambda-runtime-aws-request-id:");
        let line = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: api\r\nContent-Length: {}\r\n\r\n",
            event.len()
        );
        ask(&mut api, &line, &event);
    }
}

/// Sends a request; the head and the body of its answer.
fn ask(api: &mut TcpStream, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    api.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let (mut answer, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let length = api.read(&mut chunk).unwrap();
        assert!(length > 0, "the Runtime API is gone");
        answer.extend_from_slice(&chunk[..length]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        if answer.len() == end + 4 + header(&head, "content-length:").parse::<usize>().unwrap() {
            return (head, answer.split_off(end + 4));
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim()
}
