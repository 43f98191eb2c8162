//! Connections whose first bytes do not tell what they will be.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use oip::Datatype;

use crate::support::{Server, ServerBuilder, get, models};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn server(args: &[&str]) -> Server {
    ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32)).args(args.iter().copied()).start()
}

fn connect(server: &Server, start: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(start).unwrap();
    stream
}

/// Whatever a client stops after, the server waits without work, and for everybody else as before.
#[cfg(target_os = "linux")]
#[test]
fn clients_that_stop_half_way_cost_nothing() {
    let server = server(&[]);
    let waiting: Vec<TcpStream> =
        (0..600).map(|index| connect(&server, &PREFACE[..index % PREFACE.len()])).collect();
    let live = format!("{}/v2/health/live", server.url());
    let asked = Instant::now();
    assert_eq!(get(&live).status, 200, "after all of them were accepted");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let before = server.cpu_time();
    pause(Duration::from_secs(1));
    let spent = server.cpu_time().saturating_sub(before);
    // Polling them a thousand times a second takes all of a core.
    assert!(
        spent <= Duration::from_millis(100),
        "{spent:?} of CPU in a second, for {} clients",
        waiting.len()
    );
    assert_eq!(get(&live).status, 200);
}

#[test]
fn clients_that_never_send_enough_are_closed() {
    let server = server(&["--keep-alive-timeout", "1s"]);
    let started = Instant::now();
    for length in [0, 1, 3, PREFACE.len() - 1] {
        let mut stream = connect(&server, &PREFACE[..length]);
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "{length}");
    }
    // One that sends a byte now and then gains nothing by it.
    let mut stream = connect(&server, b"");
    for byte in PREFACE {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        pause(Duration::from_millis(200));
    }
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    assert!(started.elapsed() >= Duration::from_secs(4), "each was given its time");
}

#[test]
fn first_bytes_may_come_one_by_one() {
    let server = server(&[]);
    for request in ["GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /v2 HTTP/1.1\r\nHost: x\r\n\r\n"]
    {
        let mut stream = connect(&server, b"");
        stream.set_nodelay(true).unwrap();
        for byte in request.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
            pause(Duration::from_millis(2));
        }
        let mut answer = [0; 13];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.1 405"), "{answer:?}");
    }
    let mut stream = connect(&server, b"");
    stream.set_nodelay(true).unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    for byte in PREFACE.iter().chain(&settings) {
        stream.write_all(&[*byte]).unwrap();
        pause(Duration::from_millis(2));
    }
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "the first frame of a server is SETTINGS");
}

#[test]
fn a_connection_that_is_closed_half_way_is_closed() {
    let server = server(&[]);
    for length in 0..PREFACE.len() {
        let mut stream = connect(&server, &PREFACE[..length]);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
    assert_eq!(get(&format!("{}/v2/health/live", server.url())).status, 200);
}

#[expect(clippy::disallowed_methods, reason = "no runtime here that it could block")]
fn pause(duration: Duration) {
    thread::sleep(duration);
}
