//! What needs more than a Rust toolchain: another language, real service managers.
