//! A text with its minisign signature, and who of those that an owner trusts has made it: the ground of
//! remote settings and of receipts.
//!
//! ```text
//! {"document": "<the exact text>", "signature": "<the four lines that minisign writes>"}
//! ```
//!
//! # Invariants
//! - The signature is over the exact text; nothing of the text is looked at before.
//! - What the text is for is the reader's to check: each kind of document names itself.
//!
//! On failure: [`Unverified`], in the words of the library that checks.

use minisign_verify::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

use crate::minisign::MinisignKey;

/// A text and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    pub(crate) document: String,
    pub(crate) signature: String,
}

/// No trusted key has made the signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unverified(pub(crate) String);

impl Signed {
    /// The key that signed, of those that are trusted.
    pub(crate) fn signer<'a>(
        &self,
        keys: &'a [MinisignKey],
    ) -> Result<&'a MinisignKey, Unverified> {
        let refused = |error: minisign_verify::Error| Unverified(error.to_string());
        let signature = Signature::decode(&self.signature).map_err(refused)?;
        let mut why = Unverified("SettingsKeys is empty".to_owned());
        for key in keys {
            let verified = PublicKey::from_base64(&key.to_string())
                .and_then(|key| key.verify(self.document.as_bytes(), &signature, false));
            match verified {
                Ok(()) => return Ok(key),
                Err(error) => why = refused(error),
            }
        }
        Err(why)
    }
}
