//! What an owner asks for his rights' sake: that everything here is deleted, that he can prove to a
//! receiver whose records are his, that what waits is handed to him, and that a receipt is taken.
//!
//! # Invariants
//! - A page holds whole rows; the next page begins after the last number of this one.
//! - The key that a claim holds is shown to administrators alone.
//!
//! On failure of parsing: a [`Refusal`] of code `bad_request`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Refusal;
use super::request::{Fields, wrong};

/// The most bytes of frames in one page, unless one row alone is larger.
pub const MAX_PAGE: usize = 1 << 20;

/// `POST /v1/export`: `{"after": 0}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportRequest {
    /// The last number that the caller has; 0 at the beginning.
    pub after: u64,
}

/// `POST /v1/receipt`: `{"receipt": "…"}`, the receipt's exact text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptRequest {
    /// The text.
    pub receipt: String,
}

/// What `POST /v1/delete` did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Records that waited, and are counted `deleted`.
    pub deleted: u64,
    /// The install id from now on; null where there is no store.
    pub install_id: Option<String>,
}

/// Whose the records at a receiver are, and the proof: `POST /v1/claim`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The install id.
    pub install_id: String,
    /// The key whose hash it is; null where an earlier version made the id.
    pub key: Option<String>,
}

/// What waits, from a number on: `POST /v1/export`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPage {
    /// Whose records these are.
    pub install_id: String,
    /// Whole rows, by their numbers; none at the end.
    pub rows: Vec<ExportRow>,
}

/// A run of records of one kind, level and boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRow {
    /// `log`, `metric` or `span`.
    pub kind: String,
    /// 0 to 3.
    pub level: u8,
    /// The boot in which they were observed.
    pub boot_id: String,
    /// The number of the first.
    pub first_seq: u64,
    /// How many there are, with consecutive numbers.
    pub records: u32,
    /// The records as they would leave, in Base64.
    pub frames: String,
}

/// What a receipt came to: `POST /v1/receipt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptTaken {
    /// Records that count as uploaded now.
    pub uploaded: u64,
    /// Records that the receiver refused.
    pub rejected: u64,
    /// Records that wait now.
    pub pending: u64,
}

impl ExportRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::parse(body)?;
        let after = match fields.take("after") {
            None => 0,
            Some(after) => {
                after.as_u64().ok_or_else(|| wrong("after", "must be a whole number"))?
            }
        };
        fields.end()?;
        Ok(Self { after })
    }

    pub(crate) fn json(self) -> Value {
        json!({ "after": self.after })
    }
}

impl ReceiptRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::parse(body)?;
        let receipt = fields.text("receipt")?.ok_or_else(|| wrong("receipt", "is missing"))?;
        fields.end()?;
        Ok(Self { receipt })
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "receipt": self.receipt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_back_from_its_json_and_a_mistake_names_its_field() {
        let export = ExportRequest { after: 7 };
        assert_eq!(ExportRequest::parse(export.json().to_string().as_bytes()).unwrap(), export);
        assert_eq!(ExportRequest::parse(b"").unwrap(), ExportRequest::default());
        let receipt = ReceiptRequest { receipt: "{\"a\":\n1}".to_owned() };
        let again = ReceiptRequest::parse(receipt.json().to_string().as_bytes());
        assert_eq!(again.unwrap(), receipt);
        for body in [&br#"{"after":-1}"#[..], br#"{"after":"1"}"#, br#"{"aftr":1}"#] {
            let refusal = ExportRequest::parse(body).unwrap_err();
            assert!(refusal.message.contains("`aft"), "{}", refusal.message);
        }
        assert!(ReceiptRequest::parse(b"{}").unwrap_err().message.contains("`receipt`"));
    }
}
