//! One GET over a unix socket, with a deadline for all of it.
//!
//! HTTP/1.0, so that the engine answers in one piece and closes: nothing of a connection is kept between two looks.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A longer answer is none: a thousand containers take some 2 MiB.
const LONGEST: usize = 32 << 20;

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// The body of an answer with status 200.
pub(super) fn get(socket: &Path, target: &str, deadline: Duration) -> io::Result<Vec<u8>> {
    let until = Instant::now() + deadline;
    // Connecting to a unix socket waits only where the other end's queue is full; then it fails with the deadline of
    // the first write.
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(left(until)?))?;
    let request = format!("GET {target} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
        if answer.len() > LONGEST {
            return Err(io::Error::other(format!(
                "the answer is longer than {LONGEST} bytes"
            )));
        }
    }
    body(&answer)
}

fn body(answer: &[u8]) -> io::Result<Vec<u8>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head
        .parse(answer)
        .map_err(|error| bad(&format!("not HTTP: {error}")))?;
    let httparse::Status::Complete(start) = parsed else {
        return Err(bad("the answer ends in its head"));
    };
    let status = head.code.unwrap_or(0);
    let header = |name: &str| {
        let found = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let content = answer.get(start..).unwrap_or_default();
    let content = match header("transfer-encoding") {
        Some(encoding) if encoding.eq_ignore_ascii_case("chunked") => unchunk(content)?,
        _ => {
            let told = header("content-length").and_then(|length| length.trim().parse::<usize>().ok());
            if told.is_some_and(|told| content.len() < told) {
                return Err(bad("the answer is cut off"));
            }
            content.to_vec()
        }
    };
    if status != 200 {
        let said: String = String::from_utf8_lossy(&content).chars().take(200).collect();
        return Err(io::Error::other(format!("status {status}: {said}")));
    }
    Ok(content)
}

/// Some engines send chunks whatever the version.
fn unchunk(mut content: &[u8]) -> io::Result<Vec<u8>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the answer's chunks are cut off");
    let mut whole = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, length))) = httparse::parse_chunk_size(content) else {
            return Err(bad());
        };
        if length == 0 {
            return Ok(whole);
        }
        let end = start + usize::try_from(length).map_err(|_| bad())?;
        whole.extend_from_slice(content.get(start..end).ok_or_else(bad)?);
        content = content.get(end + 2..).ok_or_else(bad)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_with_a_length_in_chunks_and_to_the_end_are_read() {
        for answer in [
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
        ] {
            assert_eq!(body(answer.as_bytes()).expect("an answer"), b"hello", "{answer}");
        }
    }

    #[test]
    fn half_answers_and_refusals_are_errors() {
        for (answer, wanted) in [
            ("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhello", "cut off"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhe",
                "cut off",
            ),
            ("HTTP/1.0 200 OK\r\nContent-Le", "ends in its head"),
            ("hello", "not HTTP"),
            (
                "HTTP/1.0 500 Oops\r\n\r\nno such thing",
                "status 500: no such thing",
            ),
        ] {
            let error = body(answer.as_bytes()).expect_err(answer).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
