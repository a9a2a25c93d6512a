//! Events and the macros that define them. One definition makes the struct that a probe fills,
//! the catalog entry that is published, and the only way into an [`Event`].

use crate::{EventEntry, FieldEntry, UnixNanos, Value};

/// A struct made by [`event!`](crate::event!).
pub trait EventDef {
    /// Its catalog entry.
    const ENTRY: &'static EventEntry;

    /// The event with what this host told; what is `None` is absent.
    fn into_event(self) -> Event;
}

/// One event: its entry and one slot for each of the entry's fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    entry: &'static EventEntry,
    slots: Vec<Option<Value>>,
    time: Option<UnixNanos>,
}

impl Event {
    /// Used by [`event!`](crate::event!); the slots stand in the order of the entry's fields.
    #[doc(hidden)]
    #[must_use]
    pub fn from_slots(entry: &'static EventEntry, slots: Vec<Option<Value>>) -> Self {
        debug_assert_eq!(entry.fields.len(), slots.len(), "{}", entry.name);
        Self { entry, slots, time: None }
    }

    /// The same event, said to have happened at `time` and not when it was seen.
    #[must_use]
    pub fn at(mut self, time: UnixNanos) -> Self {
        self.time = Some(time);
        self
    }

    /// When it happened, where that differs from when it was seen.
    #[must_use]
    pub const fn time(&self) -> Option<UnixNanos> {
        self.time
    }

    /// Its catalog entry.
    #[must_use]
    pub const fn entry(&self) -> &'static EventEntry {
        self.entry
    }

    /// The fields that are present, in the order of the catalog.
    pub fn fields(&self) -> impl Iterator<Item = (&'static FieldEntry, &Value)> {
        self.entry
            .fields
            .iter()
            .zip(&self.slots)
            .filter_map(|(entry, slot)| Some((entry, slot.as_ref()?)))
    }

    /// Each slot with its entry; for the gate and the scrubber, which take away and replace.
    pub fn slots_mut(&mut self) -> impl Iterator<Item = (&'static FieldEntry, &mut Option<Value>)> {
        self.entry.fields.iter().zip(&mut self.slots)
    }
}

/// Defines an event. The doc comments are its published description.
///
/// `field: Type, Class` may be followed by `, level = L`, `, unit = "…"`, `, key = "…"` in that order.
#[macro_export]
macro_rules! event {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $Struct:ident = $name:literal, $level:ident, $purpose:literal {
            $(
                $(#[doc = $fdoc:literal])+
                $field:ident : $ty:ty, $class:ident
                $(, level = $flevel:ident)? $(, unit = $unit:literal)? $(, key = $key:literal)? ;
            )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $Struct {
            $( $(#[doc = $fdoc])+ pub $field: $ty, )*
        }

        impl $crate::EventDef for $Struct {
            const ENTRY: &'static $crate::EventEntry = {
                static ENTRY: $crate::EventEntry = $crate::EventEntry {
                    name: $name,
                    level: $crate::Level::$level,
                    purpose: $purpose,
                    doc: concat!($($doc, "\n"),+),
                    fields: &[ $( $crate::field_entry!(
                        $field, $ty, $class, concat!($($fdoc, "\n"),+), [$level $(, $flevel)?], [$($unit)?], [$($key)?]
                    ), )* ],
                };
                &ENTRY
            };

            fn into_event(self) -> $crate::Event {
                let slots = vec![ $( $crate::Field::into_value(self.$field), )* ];
                $crate::Event::from_slots(Self::ENTRY, slots)
            }
        }

        impl From<$Struct> for $crate::Record {
            fn from(event: $Struct) -> Self {
                Self::Event($crate::EventDef::into_event(event))
            }
        }
    };
}

/// Defines a map that stands as a field of an event, with the same syntax for its fields.
/// Its fields' level is the owner's unless `level = L` says a higher one.
#[macro_export]
macro_rules! nested {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $Struct:ident {
            $(
                $(#[doc = $fdoc:literal])+
                $field:ident : $ty:ty, $class:ident
                $(, level = $flevel:ident)? $(, unit = $unit:literal)? $(, key = $key:literal)? ;
            )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $Struct {
            $( $(#[doc = $fdoc])+ pub $field: $ty, )*
        }

        impl $crate::Field for $Struct {
            const TYPE: $crate::FieldType = $crate::FieldType::Map(&[ $( $crate::field_entry!(
                $field, $ty, $class, concat!($($fdoc, "\n"),+), [Security $(, $flevel)?], [$($unit)?], [$($key)?]
            ), )* ]);

            fn into_value(self) -> Option<$crate::Value> {
                let mut map = Vec::new();
                $( if let Some(value) = $crate::Field::into_value(self.$field) {
                    map.push((::std::borrow::Cow::Borrowed($crate::field_key!($field, [$($key)?])), value));
                } )*
                Some($crate::Value::Map(map))
            }
        }
    };
}

/// Defines the words that a field may hold; on the wire they are lower case.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        $vis:vis enum $Enum:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $Enum { $( $(#[doc = $vdoc])+ $variant, )+ }

        impl $Enum {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word on the wire.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// What a word means; `None` for a word that is none of these.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )+ _ => None }
            }
        }

        impl $crate::Field for $Enum {
            const TYPE: $crate::FieldType = $crate::FieldType::Choice(Self::WORDS);
            fn into_value(self) -> Option<$crate::Value> {
                Some($crate::Value::from(self.word()))
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! field_entry {
    ($field:ident, $ty:ty, $class:ident, $doc:expr, [$level:ident], [$($unit:literal)?], [$($key:literal)?]) => {
        $crate::FieldEntry {
            name: $crate::field_key!($field, [$($key)?]),
            level: $crate::Level::$level,
            class: $crate::Class::$class,
            unit: $crate::field_unit!($($unit)?),
            doc: $doc,
            kind: <$ty as $crate::Field>::TYPE,
        }
    };
    ($field:ident, $ty:ty, $class:ident, $doc:expr, [$owner:ident, $level:ident], $unit:tt, $key:tt) => {
        $crate::field_entry!($field, $ty, $class, $doc, [$level], $unit, $key)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! field_key {
    ($field:ident, []) => {
        stringify!($field)
    };
    ($field:ident, [$key:literal]) => {
        $key
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! field_unit {
    () => {
        None
    };
    ($unit:literal) => {
        Some($unit)
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Field, FieldType, Level};

    choice! {
        /// A colour.
        pub enum Colour {
            /// Like blood.
            Red = "red",
            /// Like the sky.
            Blue = "blue",
        }
    }

    nested! {
        /// A wheel.
        pub struct Wheel {
            /// How wide.
            width: Option<u64>, System, unit = "mm";
        }
    }

    event! {
        /// A cart
        /// on two lines.
        pub struct Cart = "candor.test.cart", Basic, "to test" {
            /// Paint.
            colour: Option<Colour>, System;
            /// What it rolls on.
            wheels: Vec<Wheel>, System, level = Enhanced, key = "cart.wheels";
        }
    }

    #[test]
    fn one_definition_makes_entry_and_event() {
        let entry = Cart::ENTRY;
        assert_eq!((entry.name, entry.level), ("candor.test.cart", Level::Basic));
        assert_eq!(entry.doc, " A cart\n on two lines.\n");
        assert_eq!(entry.fields[0].kind, FieldType::Choice(&["red", "blue"]));
        assert_eq!((entry.fields[1].name, entry.fields[1].level), ("cart.wheels", Level::Enhanced));
        assert_eq!(entry.fields[1].kind, FieldType::List(&Wheel::TYPE));
        let FieldType::Map(wheel) = Wheel::TYPE else { unreachable!() };
        assert_eq!((wheel[0].unit, wheel[0].class), (Some("mm"), Class::System));
    }

    #[test]
    fn a_choice_reads_back_from_its_word() {
        assert_eq!(Colour::from_word("blue"), Some(Colour::Blue));
        assert_eq!(Colour::from_word("Blue"), None);
    }

    #[test]
    fn what_the_host_does_not_tell_is_absent() {
        let event =
            Cart { colour: None, wheels: vec![Wheel { width: Some(7) }, Wheel { width: None }] }
                .into_event();
        let fields: Vec<_> =
            event.fields().map(|(entry, value)| (entry.name, value.clone())).collect();
        let wheels = Value::List(vec![
            Value::Map(vec![("width".into(), Value::Int(7))]),
            Value::Map(vec![]),
        ]);
        assert_eq!(fields, [("cart.wheels", wheels)]);
    }
}
