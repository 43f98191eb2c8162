//! A place that events are sent to.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// What a request brought: its header fields, by their names in lower case, and its body.
pub(crate) struct Event {
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Event {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

pub(crate) struct Sink {
    pub(crate) url: String,
    events: Receiver<Event>,
}

impl Sink {
    /// Listens at an address of this machine, for as long as the tests run.
    pub(crate) fn start(address: &str) -> Result<Self> {
        let socket = TcpListener::bind((address, 0)).with_context(|| format!("listening at {address}"))?;
        let url = format!("http://{}", socket.local_addr()?);
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            for caller in socket.incoming().flatten() {
                let sender = sender.clone();
                thread::spawn(move || while take(&caller, &sender).is_ok() {});
            }
        });
        Ok(Self { url, events })
    }

    /// The next events, as many as are asked for, in the order in which they arrived.
    pub(crate) fn next(&self, count: usize) -> Result<Vec<Event>> {
        let events: Result<Vec<Event>, _> =
            (0..count).map(|_| self.events.recv_timeout(Duration::from_secs(20))).collect();
        events.with_context(|| format!("not {count} events within 20 s"))
    }

    /// Whether no event arrives for a while.
    pub(crate) fn is_silent(&self) -> bool {
        self.events.recv_timeout(Duration::from_secs(1)).is_err()
    }
}

/// Takes one request off a connection and answers it.
fn take(mut caller: &TcpStream, sender: &Sender<Event>) -> Result<()> {
    let mut reader = BufReader::new(caller);
    let mut line = String::new();
    ensure!(reader.read_line(&mut line)? > 0, "the connection is over");
    let mut fields = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        fields.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = fields.get("content-length").context("a body of a known length")?.parse()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    caller.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    sender.send(Event { fields, body })?;
    Ok(())
}
