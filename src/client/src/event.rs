//! One event, as its program tells it.

use std::time::SystemTime;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// Named values.
    Map(Vec<(String, Value)>),
}

impl From<bool> for Value {
    fn from(switch: bool) -> Self {
        Self::Bool(switch)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One event: its name as the provider's manifest declares it, and its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub(crate) name: String,
    pub(crate) time: SystemTime,
    pub(crate) trace: Option<([u8; 16], [u8; 8])>,
    pub(crate) fields: Vec<(String, Value)>,
}

impl Event {
    /// An event of this moment without fields.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), time: SystemTime::now(), trace: None, fields: Vec::new() }
    }

    /// The same with a field more.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((key.into(), value.into()));
        self
    }

    /// The same as part of a trace: its trace id and its span's id.
    #[must_use]
    pub const fn in_trace(mut self, trace_id: [u8; 16], span_id: [u8; 8]) -> Self {
        self.trace = Some((trace_id, span_id));
        self
    }

    /// The same, said to have happened at `time`.
    #[must_use]
    pub const fn at(mut self, time: SystemTime) -> Self {
        self.time = time;
        self
    }
}
