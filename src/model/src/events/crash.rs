//! A program that crashed: which, by what, and where in its code. No memory contents, no arguments, no
//! paths, no users.
//!
//! # Invariants
//! - A place in the code is a module's file name and an offset: it says nothing of the process' data.
//!
//! Plain data: nothing here can fail.

use crate::{choice, event};

choice! {
    /// Who kept a dump of a crash.
    pub enum DumpKeeper {
        /// systemd-coredump.
        Systemd = "systemd",
        /// Apport.
        Apport = "apport",
        /// Windows Error Reporting, in the folder of its `LocalDumps`.
        Wer = "wer",
    }
}

event! {
    /// A crash of a program. Its time is the crash's.
    pub struct Summary = "candor.crash.summary", Basic, "to find programs that crash, and where" {
        /// The program's name as the kernel keeps it, or the name of its file.
        program: Option<String>, Software;
        /// Version of its package or program, where the record of the crash states it.
        version: Option<String>, Software;
        /// The signal that ended it: `SIGSEGV`; on Windows the exception's code: `0xC0000005`.
        signal: Option<String>, Performance;
        /// File name of the module in which it happened.
        module: Option<String>, Software;
        /// Offset of the instruction from where the module was mapped, or in its file on kernels that tell that.
        offset: Option<u64>, Performance, unit = "By";
        /// Who kept a dump of it.
        dump_keeper: Option<DumpKeeper>, Software, level = Full;
        /// Size of the dump as it is kept. The dump itself stays on the host.
        dump_size: Option<u64>, Performance, level = Full, unit = "By";
    }
}
