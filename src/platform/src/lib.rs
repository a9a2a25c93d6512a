//! The only crate that talks raw to the operating system: where files lie, who asks, what time it
//! is, what this process costs. Every other room calls it and carries no `cfg` of its own for it.
//!
//! Each module is a facade with the documentation, the types and the shared tests, and one file
//! per system with the same signatures.
//!
//! # Invariants
//! - `unsafe` stands in this crate alone, each block with the reason why it is sound.
//! - Nothing here knows an event, a level or a policy.
//! - What the system does not tell is `None`, never zero.
//!
//! # On failure
//! Each module has its own error, which names the operation and the path or endpoint.

mod browser;
mod clock;
mod endpoint;
mod file;
mod layout;
mod lock;
mod lookup;
mod memory;
mod name;
mod notify;
mod owner;
mod peer;
mod privilege;
mod random;
mod reserve;
#[cfg(any(windows, test))]
mod sddl;
#[cfg(windows)]
mod security;
mod space;
mod usage;

pub use browser::{behind_sudo, hand_over, has_screen, loopback_owner, open_page};
pub use clock::{Clock, ManualClock, SystemClock, boot_id};
pub use endpoint::{BindError, Listener, Stream, connect};
pub use file::{
    FileError, Trust, append_line, create_private_dir, open_private, sync_dir, trust, trust_of,
    write_atomic,
};
pub use layout::{Endpoint, Layout, ROOT_VARIABLE};
pub use lock::InstanceLock;
pub use lookup::bound_name_lookups;
pub use memory::{trim, tune_allocator};
pub use name::host_name;
pub use notify::{Manager, Word};
pub use owner::act_as_owner;
pub use peer::{Peer, Role, executable_of, is_administrator};
pub use privilege::{Raised, lower_privileges, raise_to_read};
pub use random::random_bytes;
pub use reserve::Reserve;
pub use space::{free_bytes, total_bytes};
pub use usage::{Usage, usage};
