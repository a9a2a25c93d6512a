//! Watches that no input keeps a parser busy for good.
//!
//! # Invariants
//! - Only what takes longer than [`PATIENCE`] is a finding; how fast a parser is, is not judged.
//!
//! A parser that never comes back cannot be stopped: the test's process ends, with the input.

use std::process::abort;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use crate::PATIENCE;

/// Watches one parser until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(Sender<Option<Vec<u8>>>);

impl Watch {
    pub(crate) fn over(parser: &str) -> Self {
        let (sender, receiver) = channel();
        let parser = parser.to_owned();
        thread::spawn(move || watch(&parser, &receiver));
        Self(sender)
    }

    /// An input is given to the parser.
    pub(crate) fn begin(&self, input: &[u8]) {
        self.say(Some(input.get(..4096).unwrap_or(input).to_vec()));
    }

    /// The parser came back.
    pub(crate) fn end(&self) {
        self.say(None);
    }

    fn say(&self, input: Option<Vec<u8>>) {
        // The other end lives as long as this one.
        let _sent = self.0.send(input);
    }
}

fn watch(parser: &str, receiver: &Receiver<Option<Vec<u8>>>) {
    let mut under_way: Option<Vec<u8>> = None;
    loop {
        let news = match &under_way {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => receiver.recv_timeout(PATIENCE),
        };
        match (news, under_way.take()) {
            (Ok(input), _) => under_way = input,
            (Err(RecvTimeoutError::Timeout), Some(input)) => {
                eprintln!("{parser} hangs: {}", input.escape_ascii());
                abort();
            }
            (Err(_), _) => return,
        }
    }
}
