//! Containers, told by their control groups. The probe `containers` fills it. Names are those of
//! the OpenTelemetry semantic conventions where they publish one.
//!
//! # Invariants
//! - A container is told by a keyed id, never by its name or the id that its runtime gave it.
//! - A limit is told with its scope: what the container may have, and what the host has.
//!
//! Plain data: nothing here can fail.

use crate::FieldType::{Choice, Text};
use crate::metric;

/// What made a container.
pub const RUNTIMES: &[&str] = &["docker", "containerd", "cri-o", "podman", "systemd-nspawn", "lxc"];
/// Values of `cpu.mode` that control groups tell.
pub const CPU_MODES: &[&str] = &["user", "system"];
/// Whose limit it is.
pub const SCOPES: &[&str] = &["container", "host"];

metric! {
    /// CPU time of a container.
    pub CPU_TIME = "container.cpu.time", Enhanced, Counter, "s", "to see how containers are used and whether their limits suffice" {
        /// A keyed id; `self` is the container that the agent runs in.
        "container.id": Text, class = Pseudonym;
        /// What made it; absent where its control group does not tell.
        "container.runtime.name": Choice(RUNTIMES), class = Software;
        /// The mode of the CPU.
        "cpu.mode": Choice(CPU_MODES);
    }
}

metric! {
    /// CPUs that a container may use, beside those that the host has.
    pub CPU_LIMIT = "candor.container.cpu.limit", Enhanced, UpDownCounter, "{cpu}", "to see how containers are used and whether their limits suffice" {
        /// A keyed id; `self` is the container that the agent runs in.
        "container.id": Text, class = Pseudonym;
        /// What made it; absent where its control group does not tell.
        "container.runtime.name": Choice(RUNTIMES), class = Software;
        /// Whose limit it is; that of a container without one is absent.
        "scope": Choice(SCOPES);
    }
}

metric! {
    /// Memory of a container, page cache included.
    pub MEMORY_USAGE = "container.memory.usage", Enhanced, UpDownCounter, "By", "to see how containers are used and whether their limits suffice" {
        /// A keyed id; `self` is the container that the agent runs in.
        "container.id": Text, class = Pseudonym;
        /// What made it; absent where its control group does not tell.
        "container.runtime.name": Choice(RUNTIMES), class = Software;
    }
}

metric! {
    /// Memory of a container without the page cache that was not used lately.
    pub MEMORY_WORKING_SET = "container.memory.working_set", Enhanced, UpDownCounter, "By", "to see how containers are used and whether their limits suffice" {
        /// A keyed id; `self` is the container that the agent runs in.
        "container.id": Text, class = Pseudonym;
        /// What made it; absent where its control group does not tell.
        "container.runtime.name": Choice(RUNTIMES), class = Software;
    }
}

metric! {
    /// Memory of a container that no file stands behind.
    pub MEMORY_RSS = "container.memory.rss", Enhanced, UpDownCounter, "By", "to see how containers are used and whether their limits suffice" {
        /// A keyed id; `self` is the container that the agent runs in.
        "container.id": Text, class = Pseudonym;
        /// What made it; absent where its control group does not tell.
        "container.runtime.name": Choice(RUNTIMES), class = Software;
    }
}

metric! {
    /// Memory that a container may use, beside that of the host.
    pub MEMORY_LIMIT = "candor.container.memory.limit", Enhanced, UpDownCounter, "By", "to see how containers are used and whether their limits suffice" {
        /// A keyed id; `self` is the container that the agent runs in.
        "container.id": Text, class = Pseudonym;
        /// What made it; absent where its control group does not tell.
        "container.runtime.name": Choice(RUNTIMES), class = Software;
        /// Whose limit it is; that of a container without one is absent.
        "scope": Choice(SCOPES);
    }
}

metric! {
    /// How often a container was seen to have been started anew: its control group is another one
    /// under the same id. What is replaced by a container with a new id (Kubernetes) is no restart.
    pub RESTARTS = "candor.container.restarts", Enhanced, Counter, "{restart}", "to find containers that fail" {
        /// A keyed id; `self` is the container that the agent runs in.
        "container.id": Text, class = Pseudonym;
        /// What made it; absent where its control group does not tell.
        "container.runtime.name": Choice(RUNTIMES), class = Software;
    }
}
