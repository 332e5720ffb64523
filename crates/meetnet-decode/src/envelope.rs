//! The envelope as a decoder sees it: borrowed from the journal's group, never copied.

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
}
