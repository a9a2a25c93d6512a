//! Receipts: what a receiver signs when it has deleted a host's records, or has taken in a file that came
//! by hand. Read and judged here; kept and shown by `agentctl`, settled by the daemon.
//!
//! ```text
//! {"document": "…", "signature": "…",              signed by the receiver's receipt key
//!  "key": {"document": "…", "signature": "…"}}     that key, signed by a key of `SettingsKeys`
//!
//! document of a receipt   {"candor_receipt": 1, "purpose": "deletion" | "import", "install_id", "time",
//!                          "nonce", "records", "accepted": [[1, 90]], "rejected": [[91, 91]]}
//! document of a key       {"candor_receipt_key": 1, "key": "RW…"}
//! ```
//! `key` is left out where the receipt key itself stands in `SettingsKeys`. It is there so that the key
//! which signs settings can lie away from the receiver, whose own key can then sign nothing but receipts.
//!
//! # Invariants
//! - A receipt counts only with an unbroken way from its text to a key in `SettingsKeys`.
//! - Settings, receipts and receipt keys name themselves: none of them can be taken for another.
//! - Ranges are what they should be (in order, apart, as many numbers as the receipt says) or it is none.
//!
//! On failure: [`BadReceipt`]; then it proves nothing.

use std::fmt;

use minisign_verify::PublicKey;
use serde::{Deserialize, Serialize};

use crate::minisign::MinisignKey;
use crate::signed::Signed;

/// Largest receipt, with its signatures.
pub const MAX_BYTES: usize = 48 * 1024;

/// Numbers of records from the first to the last, both included.
pub type Range = (u64, u64);

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The receiver has deleted everything that it held of the installation.
    Deletion,
    /// The receiver has taken in a file that `agentctl export` wrote.
    Import,
}

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    #[serde(rename = "candor_receipt")]
    form: u8,
    /// What was done.
    pub purpose: Purpose,
    /// Of which installation.
    pub install_id: String,
    /// When, RFC 3339.
    pub time: String,
    /// What the request bore, so that an old receipt answers no new request.
    pub nonce: String,
    /// How many records were deleted, or are in the file.
    pub records: u64,
    /// The numbers that were deleted, or taken in.
    pub accepted: Vec<Range>,
    /// The numbers that were refused for good.
    pub rejected: Vec<Range>,
}

/// A receipt whose signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub receipt: Receipt,
    /// The key in `SettingsKeys` on which the trust rests.
    pub trusted: MinisignKey,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// Larger than [`MAX_BYTES`].
    #[error("it is larger than {MAX_BYTES} bytes, which no receipt is")]
    Oversized,
    /// Not the texts in JSON.
    #[error("it is no signed receipt: {0}")]
    Unsigned(String),
    /// A signature that no trusted key made.
    #[error("it is not signed by a key that SettingsKeys trusts: {0}")]
    Signature(String),
    /// Signed, and not understood.
    #[error("it is signed, but no receipt that this version understands: {0}")]
    Malformed(String),
    /// For something else.
    #[error("it is a receipt for a {0}")]
    OtherPurpose(Purpose),
    /// Of another installation.
    #[error(
        "it is for the installation {0}: another host's, or this one's from before `agentctl delete --local`"
    )]
    Foreign(String),
    /// The answer to another request.
    #[error("it answers another request than the one that was made")]
    OtherRequest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    document: String,
    signature: String,
    #[serde(default)]
    key: Option<Signed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delegation {
    candor_receipt_key: u8,
    key: String,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deletion => "deletion",
            Self::Import => "import",
        })
    }
}

/// Checks the signatures and reads the receipt; `keys` are those of `SettingsKeys`.
///
/// # Errors
/// See [`BadReceipt`]; purpose and installation are not judged here.
pub fn open(bytes: &[u8], keys: &[MinisignKey]) -> Result<Verified, BadReceipt> {
    if bytes.len() > MAX_BYTES {
        return Err(BadReceipt::Oversized);
    }
    let Envelope { document, signature, key } =
        serde_json::from_slice(bytes).map_err(|error| BadReceipt::Unsigned(error.to_string()))?;
    let signed = Signed { document, signature };
    let trusted = match &key {
        None => signer(&signed, keys)?,
        Some(delegation) => {
            let trusted = signer(delegation, keys)?;
            signer(&signed, &[delegated(&delegation.document)?])?;
            trusted
        }
    };
    let receipt = read(&signed.document).map_err(BadReceipt::Malformed)?;
    Ok(Verified { receipt, trusted })
}

fn signer(signed: &Signed, keys: &[MinisignKey]) -> Result<MinisignKey, BadReceipt> {
    let found = signed.signer(keys).cloned();
    found.map_err(|why| BadReceipt::Signature(why.to_string()))
}

/// The receipt key that a trusted key vouches for.
fn delegated(document: &str) -> Result<MinisignKey, BadReceipt> {
    let malformed = |what: String| BadReceipt::Malformed(format!("the receipt key: {what}"));
    let Delegation { candor_receipt_key, key } =
        serde_json::from_str(document).map_err(|error| malformed(error.to_string()))?;
    if candor_receipt_key != 1 {
        return Err(malformed(format!("form {candor_receipt_key}")));
    }
    PublicKey::from_base64(&key).map_err(|error| malformed(error.to_string()))?;
    key.parse().map_err(|error: crate::BadMinisignKey| malformed(error.to_string()))
}

fn read(document: &str) -> Result<Receipt, String> {
    let receipt: Receipt = serde_json::from_str(document).map_err(|error| error.to_string())?;
    if receipt.form != 1 {
        return Err(format!("form {}", receipt.form));
    }
    let accepted = width(&receipt.accepted).ok_or("ranges out of order")?;
    let rejected = width(&receipt.rejected).ok_or("ranges out of order")?;
    // Records without a number are in no range.
    if accepted.checked_add(rejected).is_none_or(|named| named > receipt.records) {
        return Err("more numbers than records".to_owned());
    }
    Ok(receipt)
}

/// How many numbers the ranges hold; `None` where they are not in order and apart.
fn width(ranges: &[Range]) -> Option<u64> {
    let (mut sum, mut free) = (0_u64, 1);
    for (first, last) in ranges {
        if *first < free || last < first {
            return None;
        }
        sum = sum.checked_add(last - first)?.checked_add(1)?;
        free = last.checked_add(1)?;
    }
    Some(sum)
}

impl Verified {
    /// The receipt, if it is for this purpose and this installation.
    ///
    /// # Errors
    /// [`BadReceipt::OtherPurpose`], [`BadReceipt::Foreign`].
    pub fn of(self, purpose: Purpose, install_id: &str) -> Result<Receipt, BadReceipt> {
        if self.receipt.purpose != purpose {
            return Err(BadReceipt::OtherPurpose(self.receipt.purpose));
        }
        if self.receipt.install_id != install_id {
            return Err(BadReceipt::Foreign(self.receipt.install_id));
        }
        Ok(self.receipt)
    }
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;
    use serde_json::{Value, json};

    use super::*;
    use crate::remote::tests::{pair, public};

    fn signed(pair: &KeyPair, document: &Value) -> Value {
        let document = document.to_string();
        let signature = minisign::sign(None, &pair.sk, document.as_bytes(), None, None).unwrap();
        json!({ "document": document, "signature": signature.into_string() })
    }

    fn document() -> Value {
        json!({
            "candor_receipt": 1, "purpose": "deletion", "install_id": "me", "nonce": "n",
            "time": "2026-01-02T03:04:05Z", "records": 9,
            "accepted": [[1, 5], [7, 8]], "rejected": [[6, 6]],
        })
    }

    /// A receipt as a collector makes it: `receipts` signs, `settings` vouches.
    fn receipt(receipts: &KeyPair, settings: &KeyPair, document: &Value) -> Vec<u8> {
        let mut receipt = signed(receipts, document);
        let key = json!({ "candor_receipt_key": 1, "key": receipts.pk.to_base64() });
        receipt["key"] = signed(settings, &key);
        receipt.to_string().into_bytes()
    }

    #[test]
    fn a_receipt_holds_by_a_key_that_a_trusted_key_vouches_for_or_by_the_trusted_key_itself() {
        let (receipts, settings) = (pair(), pair());
        let keys = [public(&pair()), public(&settings)];
        let opened = open(&receipt(&receipts, &settings, &document()), &keys).unwrap();
        assert_eq!((opened.receipt.records, &opened.trusted), (9, &keys[1]));
        let direct = signed(&settings, &document()).to_string();
        assert_eq!(open(direct.as_bytes(), &keys).unwrap(), opened);
        assert_eq!(opened.clone().of(Purpose::Deletion, "me").unwrap(), opened.receipt);
        let import = opened.clone().of(Purpose::Import, "me");
        assert_eq!(import, Err(BadReceipt::OtherPurpose(Purpose::Deletion)));
        assert_eq!(opened.of(Purpose::Deletion, "you"), Err(BadReceipt::Foreign("me".into())));
    }

    #[test]
    fn a_forged_or_changed_receipt_is_refused_wherever_it_was_changed() {
        let (receipts, settings, thief) = (pair(), pair(), pair());
        let keys = [public(&settings)];
        let good = String::from_utf8(receipt(&receipts, &settings, &document())).unwrap();
        let refused =
            |text: &str| matches!(open(text.as_bytes(), &keys), Err(BadReceipt::Signature(_)));
        assert!(refused(&good.replace("\\\"records\\\":9", "\\\"records\\\":8")));
        let other_key = good.replace(&receipts.pk.to_base64(), &thief.pk.to_base64());
        assert!(other_key != good && refused(&other_key));
        // A thief's receipt with the honest delegation, with one of his own, and with none.
        let honest: Value = serde_json::from_str(&good).unwrap();
        let mut forged = signed(&thief, &document());
        assert!(refused(&forged.to_string()));
        forged["key"] = honest["key"].clone();
        assert!(refused(&forged.to_string()));
        let own = receipt(&thief, &thief, &document());
        assert!(refused(&String::from_utf8(own).unwrap()));
        assert!(matches!(open(good.as_bytes(), &[]), Err(BadReceipt::Signature(_))));
    }

    #[test]
    fn a_receipt_key_signs_no_settings_and_settings_are_no_receipt() {
        let (receipts, settings) = (pair(), pair());
        let keys = [public(&settings)];
        let stop = json!({ "candor_settings": 1, "version": 1, "audience": "all", "stop": true });
        let by_receipts = signed(&receipts, &stop).to_string();
        assert!(crate::remote::open(by_receipts.as_bytes(), &keys).is_err());
        let with_delegation = receipt(&receipts, &settings, &stop);
        assert!(crate::remote::open(&with_delegation, &keys).is_err());
        let settings_as_receipt = signed(&settings, &stop).to_string();
        let opened = open(settings_as_receipt.as_bytes(), &keys);
        assert!(matches!(opened, Err(BadReceipt::Malformed(_))), "{opened:?}");
        let key = json!({ "candor_receipt_key": 1, "key": receipts.pk.to_base64() });
        let key_as_receipt = signed(&settings, &key).to_string();
        assert!(matches!(open(key_as_receipt.as_bytes(), &keys), Err(BadReceipt::Malformed(_))));
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let pair = pair();
        let keys = [public(&pair)];
        for accepted in [json!([[2, 1]]), json!([[1, 2], [2, 3]]), json!([[0, 1]]), json!([[1, 9]])]
        {
            let mut document = document();
            document["accepted"] = accepted;
            let text = signed(&pair, &document).to_string();
            assert!(
                matches!(open(text.as_bytes(), &keys), Err(BadReceipt::Malformed(_))),
                "{text}"
            );
        }
        let large = vec![b' '; MAX_BYTES + 1];
        assert_eq!(open(&large, &keys), Err(BadReceipt::Oversized));
    }
}
