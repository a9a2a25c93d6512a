//! The allocator's settings: an agent that idles should hold what it uses and no more.
//!
//! glibc keeps an arena for each thread and raises its thresholds as it sees large blocks; both
//! cost more than the whole agent. Called once by `main`, before the first thread.
//!
//! # Invariants
//! - Only glibc has these settings; elsewhere both functions do nothing.
//!
//! On failure: a setting that the allocator refuses stays as it was.

#[cfg_attr(all(target_os = "linux", target_env = "gnu"), path = "memory/glibc.rs")]
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), path = "memory/other.rs")]
mod imp;

/// One arena, and low thresholds that no longer move. Call it before threads start.
pub fn tune_allocator() {
    imp::tune_allocator();
}

/// Gives free pages back to the system. Worth a call after a burst (start, a large upload).
pub fn trim() {
    imp::trim();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn what_was_freed_goes_back_to_the_system() {
        let anonymous = || crate::usage().rss_anon_bytes.unwrap();
        tune_allocator();
        let mut blocks: Vec<Vec<u8>> = (0..16_384).map(|_| vec![1; 1024]).collect();
        let full = anonymous();
        // What stays lies scattered, so that the allocator cannot simply lower the heap's end.
        let mut index = 0;
        blocks.retain(|_| {
            index += 1;
            index % 64 == 0
        });
        trim();
        let after = anonymous();
        assert!(after + 12 * 1024 * 1024 < full, "{full} bytes before, {after} after");
    }

    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    #[test]
    fn elsewhere_both_calls_are_harmless() {
        tune_allocator();
        trim();
    }
}
