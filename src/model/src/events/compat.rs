//! What the system is put together from: kernel, service manager, C library, drivers, declared
//! providers, and which services failed.
//!
//! # Invariants
//! - A version is one that the component itself or its package states; none is guessed.
//!
//! Plain data: nothing here can fail.

use crate::{event, nested};

nested! {
    /// A part of the system.
    pub struct Component {
        /// Its name: `kernel`, `systemd`, `glibc`, `musl`; on Windows `kernel`, `powershell` and the runtimes
        /// that this agent knows, such as `dotnet` and `visual_cpp_2015_x64`.
        name: &'static str, Software;
        /// Its version.
        version: Option<String>, Software;
    }
}

nested! {
    /// A program that declared what it tells through this agent.
    pub struct Provider {
        /// The name of its manifest.
        name: String, Software;
        /// The version that its manifest states.
        version: Option<String>, Software;
    }
}

nested! {
    /// A module that the kernel has loaded.
    pub struct Driver {
        /// Its name.
        name: String, Software;
        /// Its version; absent for most drivers that come with the kernel, whose version is the kernel's.
        version: Option<String>, Software;
        /// Whether it comes from elsewhere than the kernel's own source.
        out_of_tree: Option<bool>, Software;
    }
}

event! {
    /// Components of the operating system, declared providers, drivers, and services that failed.
    pub struct Components = "candor.compat.components", Basic, "to know which combinations work and which fail" {
        /// Parts of the system.
        components: Option<Vec<Component>>, Software;
        /// Declared providers.
        providers: Option<Vec<Provider>>, Software;
        /// Number of loaded drivers and other modules of the kernel.
        driver_count: Option<u32>, Software, unit = "{driver}";
        /// The loaded modules by name, those from elsewhere first; at most 256.
        drivers: Option<Vec<Driver>>, Software;
        /// Services in the state failed, as the service manager names them, without instances; on Windows
        /// those that stopped by themselves with an error. At most 64.
        failed_services: Option<Vec<String>>, Software;
    }
}
