//! The envelope as a decoder sees it: borrowed from the journal's group, never copied.

use meetnet_model::time::parse_rfc3339;

/// One raw message as received.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeRef<'a> {
    /// Its position in the journal.
    pub sequence: u64,
    /// The id of the source that received it.
    pub source: &'a str,
    /// MQTT topic or HTTP path.
    pub topic: &'a str,
    /// What decoding needs beside the body: headers, query string; names in lower case.
    pub meta: &'a [(Box<str>, Box<str>)],
    /// The body.
    pub payload: &'a [u8],
    /// When it was received, µs UTC.
    pub received_at: i64,
    /// Whether it was larger than its source allows, so that `payload` is only its head.
    pub truncated: bool,
}

impl<'a> EnvelopeRef<'a> {
    /// Returns the first value of `name` (lower case) beside the body.
    pub fn meta(&self, name: &str) -> Option<&'a str> {
        self.meta
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| &**value)
    }
    /// Returns true where `time` (µs UTC) lies in the window of the poll that brought the envelope: `window` beside the
    /// body, `FROM/TO` without its end.
    pub(crate) fn is_asked_for(&self, time: i64) -> bool {
        let window = self
            .meta("window")
            .and_then(|window| window.split_once('/'));
        window.is_some_and(|(from, to)| {
            let from = parse_rfc3339(from).is_ok_and(|from| from <= time);
            from && parse_rfc3339(to).is_ok_and(|to| time < to)
        })
    }
}
