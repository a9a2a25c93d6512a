//! Promises kept by the real programs, one module each.
