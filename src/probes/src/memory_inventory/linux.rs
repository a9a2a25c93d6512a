//! The memory as Linux shows it.
//!
//! # Invariants
//! - No swap is a fact, said as 0; a swap that is not told is absent.

use candor_model::events::device::Memory;

use crate::{Host, ProbeError, smbios};

pub(super) fn memory(host: &Host) -> Result<Memory, ProbeError> {
    let meminfo = host.require(&host.proc("meminfo"))?;
    let table = {
        // The table is root's; what is taken from it is not.
        let _raised = candor_platform::raise_to_read();
        host.bytes(&host.sys("firmware/dmi/tables/DMI"))
    };
    let modules = table.and_then(|table| smbios::modules(&table));
    let listed = modules.as_deref().and_then(smbios::installed);
    Ok(Memory {
        installed: listed.or_else(|| in_blocks(host)),
        usable: bytes(&meminfo, "MemTotal").filter(|bytes| *bytes > 0),
        swap: bytes(&meminfo, "SwapTotal"),
        modules,
    })
}

/// A line of `proc/meminfo`; its kB are KiB.
fn bytes(meminfo: &str, key: &str) -> Option<u64> {
    let mut lines = meminfo.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| *name == key)?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// All memory that the kernel was given, in blocks of one size.
fn in_blocks(host: &Host) -> Option<u64> {
    let directory = host.sys("devices/system/memory");
    let size = host.text(&directory.join("block_size_bytes"))?;
    let size = u64::from_str_radix(&size, 16).ok()?;
    let names = host.names(&directory);
    let is_block = |name: &&String| {
        let number = name.strip_prefix("memory").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let blocks = u64::try_from(names.iter().filter(is_block).count()).ok()?;
    blocks.checked_mul(size).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "memory_inventory/linux::bytes",
            Says::Times(&[1024]),
            &["MemTotal:       16318480 kB\nSwapTotal: 0 kB\n"],
            |text| bytes(text, "MemTotal"),
        );
    }
}
