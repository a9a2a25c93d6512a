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
#[cfg(windows)]
mod device;
mod endpoint;
mod event_log;
#[cfg(windows)]
mod event_query;
mod file;
#[cfg(windows)]
mod file_version;
#[cfg(windows)]
mod firmware;
mod layout;
mod lock;
mod lookup;
mod memory;
mod name;
mod notify;
mod owner;
mod parent;
mod peer;
mod privilege;
mod random;
mod registration;
mod reserve;
#[cfg(any(windows, test))]
mod sddl;
#[cfg(windows)]
mod security;
#[cfg(windows)]
mod security_center;
#[cfg(windows)]
mod services;
#[cfg(windows)]
mod sockets;
mod space;
mod usage;

pub use browser::{behind_sudo, hand_over, has_screen, loopback_owner, open_page};
pub use clock::{Clock, ManualClock, SystemClock, boot_id};
#[cfg(windows)]
pub use device::Device;
pub use endpoint::{BindError, Listener, Stream, connect};
pub use event_log::{EVENT_SOURCE, Gravity, Message, open_event_log, report_event};
#[cfg(windows)]
pub use event_query::{EventOrder, EventPublisher, EventQuery, EventRecord};
pub use file::{
    FileError, NewFile, Trust, append_line, create_private_dir, open_private, remove, sync_dir,
    trust, trust_of, write_atomic,
};
#[cfg(windows)]
pub use file_version::file_version;
#[cfg(windows)]
pub use firmware::{installed_memory, processor_topology, smbios_table};
#[cfg(windows)]
pub use layout::program_data;
pub use layout::{Endpoint, Layout, ROOT_VARIABLE};
pub use lock::InstanceLock;
pub use lookup::bound_name_lookups;
pub use memory::{trim, tune_allocator};
pub use name::host_name;
pub use notify::{Manager, Word};
pub use owner::act_as_owner;
pub use parent::parent_arguments;
pub use peer::{Peer, Role, executable_of, groups_of, is_administrator};
pub use privilege::{Raised, lower_privileges, raise_to_read};
pub use random::random_bytes;
pub use registration::PRIVILEGES;
#[cfg(windows)]
pub use registration::{
    furnish_directories, furnish_event_source, furnish_settings_key, has_delayed_start,
    has_event_source, preshutdown_timeout, remove_event_source, remove_settings,
    require_privileges, required_privileges,
};
pub use reserve::Reserve;
#[cfg(windows)]
pub use security_center::antivirus_health;
#[cfg(windows)]
pub use services::{SystemService, process_age, system_services};
#[cfg(windows)]
pub use sockets::{SocketTable, TcpCounters, socket_table, tcp_counters};
pub use space::{free_bytes, total_bytes};
pub use usage::{Usage, usage};
