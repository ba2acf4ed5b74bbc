//! JSON objects (RFC 8259), member by member into memory: results are written a million at a time, without a tree in between.
//!
//! The one invariant: members appear in the order in which they are written, and their names need no escape.

use crate::units::{write_decimal, write_signed};
use rust_decimal::Decimal;

/// A JSON object in the making. Members appear in the order in which they are written.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Opens an object.
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Opens an object again that was written last, for members beyond the interface.
    pub fn reopen(out: &'a mut Vec<u8>) -> Self {
        let closed = out.pop();
        debug_assert_eq!(closed, Some(b'}'), "an object was written last");
        let empty = out.last() == Some(&b'{');
        Self { out, empty }
    }

    /// Closes it.
    pub fn end(self) {
        self.out.push(b'}');
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_text(self.out, value);
    }

    /// A text, or null.
    pub fn maybe(&mut self, name: &str, value: Option<&str>) {
        self.optional(name, value, Self::text);
    }

    /// A whole number.
    pub fn integer(&mut self, name: &str, value: i64) {
        self.name(name);
        write_signed(self.out, value);
    }

    /// A text that `write` appends and that needs no escape, such as an amount.
    pub fn written(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
    }

    /// An amount as a number, with all its decimals.
    pub fn decimal(&mut self, name: &str, value: Decimal) {
        self.name(name);
        write_decimal(self.out, value);
    }

    /// true or false.
    pub fn flag(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    /// JSON that is made already, such as a decimal number.
    pub fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A value, or null.
    pub fn optional<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Self, &str, T)) {
        match value {
            Some(value) => write(self, name, value),
            None => self.raw(name, "null"),
        }
    }

    /// An array of objects; `write` gets each one opened, and closes it.
    pub fn list<T>(&mut self, name: &str, values: &[T], mut write: impl FnMut(Object<'_>, &T)) {
        self.array(name, values.iter(), |out, value| write(Object::begin(out), value));
    }

    /// An array of texts.
    pub fn list_of<'t>(&mut self, name: &str, values: impl Iterator<Item = &'t str>) {
        self.array(name, values, write_text);
    }

    fn array<T>(&mut self, name: &str, values: impl Iterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
        self.name(name);
        self.out.push(b'[');
        for (place, value) in values.enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            write(self.out, value);
        }
        self.out.push(b']');
    }

    /// Names are ours, and need no escape.
    fn name(&mut self, name: &str) {
        debug_assert!(is_plain(name), "{name} needs an escape");
        self.out.extend_from_slice(if self.empty { b"\"" } else { b",\"" });
        self.empty = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Whether a text stands in JSON as it is (RFC 8259 §7).
fn is_plain(text: &str) -> bool {
    // All bytes are looked at: many at a time.
    text.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\'))
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        return out.push(b'"');
    }
    serde_json::to_writer(out, text).expect("a text can be written to memory");
}
