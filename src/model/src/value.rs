//! Values that a field can hold, and the Rust types that become them.

use std::borrow::Cow;

use crate::FieldType;

/// One value, as OTLP's `AnyValue` has them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    Text(Cow<'static, str>),
    /// A list.
    List(Vec<Value>),
    /// Named values, in the order of their definition.
    Map(Vec<(Cow<'static, str>, Value)>),
}

/// A Rust type that can stand as a catalog field. `None` is absent: never zero, never invented.
pub trait Field {
    /// What the catalog says of the type.
    const TYPE: FieldType;

    /// The value, or `None` when this host does not tell.
    fn into_value(self) -> Option<Value>;
}

impl Field for bool {
    const TYPE: FieldType = FieldType::Bool;
    fn into_value(self) -> Option<Value> {
        Some(Value::Bool(self))
    }
}

impl Field for i64 {
    const TYPE: FieldType = FieldType::Int;
    fn into_value(self) -> Option<Value> {
        Some(Value::Int(self))
    }
}

impl Field for u32 {
    const TYPE: FieldType = FieldType::Int;
    fn into_value(self) -> Option<Value> {
        Some(Value::Int(i64::from(self)))
    }
}

/// A number beyond `i64::MAX` has no place in OTLP: it is absent rather than wrong.
impl Field for u64 {
    const TYPE: FieldType = FieldType::Int;
    fn into_value(self) -> Option<Value> {
        i64::try_from(self).ok().map(Value::Int)
    }
}

impl Field for f64 {
    const TYPE: FieldType = FieldType::Double;
    fn into_value(self) -> Option<Value> {
        self.is_finite().then_some(Value::Double(self))
    }
}

impl Field for String {
    const TYPE: FieldType = FieldType::Text;
    fn into_value(self) -> Option<Value> {
        Some(Value::Text(Cow::Owned(self)))
    }
}

impl Field for &'static str {
    const TYPE: FieldType = FieldType::Text;
    fn into_value(self) -> Option<Value> {
        Some(Value::Text(Cow::Borrowed(self)))
    }
}

impl<T: Field> Field for Option<T> {
    const TYPE: FieldType = T::TYPE;
    fn into_value(self) -> Option<Value> {
        self.and_then(T::into_value)
    }
}

impl<T: Field> Field for Vec<T> {
    const TYPE: FieldType = FieldType::List(&T::TYPE);
    fn into_value(self) -> Option<Value> {
        Some(Value::List(self.into_iter().filter_map(T::into_value).collect()))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
