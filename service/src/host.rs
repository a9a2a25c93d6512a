//! How the agent is hosted: in the foreground for a person, a container or
//! systemd; as a service under Windows' service control manager. Each host brings
//! the runtime, the signals and the way to say that it is ready.

pub mod console;
mod systemd;
#[cfg(windows)]
pub mod windows;
