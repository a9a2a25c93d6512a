//! The explanation: every layer with its place, its value and its verdict, the winner and why.
//!
//! Made by the resolution itself from what it used, so that it cannot tell another story; printed
//! by `agentctl explain`, served by the control API, shown by the viewer.

use serde::Serialize;

/// Why the level is what it is. Its JSON is the contract's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The level that was asked for, 0 to 3.
    pub requested: u8,
    /// The level that holds, 0 to 3.
    pub effective: u8,
    /// Every place, strongest first; the built-in default last.
    pub layers: Vec<ExplainedLayer>,
    /// The layer that decided.
    pub winner: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// One place in an explanation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExplainedLayer {
    /// The layer's word.
    pub layer: String,
    /// The file or registry key.
    pub place: String,
    /// The level it states, 0 to 3; null where it states none.
    pub value: Option<u8>,
    /// What became of it, in a sentence.
    pub verdict: String,
}
