//! What the machine is: its make, processor, memory, adapters and drives. No serial numbers, no
//! addresses, no names of adapters or drives.

use crate::{choice, event, nested};

choice! {
    /// What the machine stands in, folded from the kinds of SMBIOS.
    pub enum Chassis {
        /// Under or on a desk.
        Desktop = "desktop",
        /// Carried and opened.
        Laptop = "laptop",
        /// A screen without a keyboard.
        Tablet = "tablet",
        /// A screen and a keyboard that come apart.
        Convertible = "convertible",
        /// Screen and machine in one.
        AllInOne = "all_in_one",
        /// In a rack.
        Server = "server",
        /// One of several in an enclosure.
        Blade = "blade",
        /// No bigger than a book.
        Mini = "mini",
        /// Built into something.
        Embedded = "embedded",
        /// In the hand.
        Handheld = "handheld",
    }
}

choice! {
    /// The instruction set, by OpenTelemetry's `host.arch`.
    pub enum Architecture {
        /// x86-64.
        Amd64 = "amd64",
        /// 32-bit x86.
        X86 = "x86",
        /// 64-bit Arm.
        Arm64 = "arm64",
        /// 32-bit Arm.
        Arm32 = "arm32",
        /// 64-bit RISC-V.
        Riscv64 = "riscv64",
        /// 64-bit POWER.
        Ppc64 = "ppc64",
        /// IBM Z.
        S390x = "s390x",
        /// 64-bit `LoongArch`.
        Loong64 = "loong64",
    }
}

choice! {
    /// What runs a virtual machine.
    pub enum Hypervisor {
        /// KVM, with whatever runs it.
        Kvm = "kvm",
        /// QEMU without KVM, as far as the host tells.
        Qemu = "qemu",
        /// `VMware`.
        Vmware = "vmware",
        /// Microsoft Hyper-V, Azure included.
        HyperV = "hyperv",
        /// Xen.
        Xen = "xen",
        /// `VirtualBox`.
        VirtualBox = "virtualbox",
        /// Parallels.
        Parallels = "parallels",
        /// bhyve.
        Bhyve = "bhyve",
        /// Apple's virtualization framework.
        Apple = "apple",
    }
}

event! {
    /// Who made the machine, what it is, and whether it is virtual.
    pub struct Machine = "candor.device.machine", Basic, "to know which machines there are" {
        /// Who made it, as its firmware says.
        manufacturer: Option<String>, System;
        /// Its model, as its firmware says.
        model: Option<String>, System;
        /// What it stands in.
        chassis: Option<Chassis>, System;
        /// Who made the firmware.
        firmware_vendor: Option<String>, System;
        /// The firmware's version.
        firmware_version: Option<String>, System;
        /// The firmware's date, year-month-day.
        firmware_date: Option<String>, System;
        /// Whether the machine is virtual.
        is_virtual: Option<bool>, System, key = "virtual";
        /// What runs it, where it is virtual.
        hypervisor: Option<Hypervisor>, System;
        /// Its instruction set.
        architecture: Option<Architecture>, System;
    }
}

event! {
    /// The processors. Counts are over the whole machine.
    pub struct Processor = "candor.device.processor", Basic, "to know which machines there are" {
        /// Who made it, as it says itself.
        vendor: Option<String>, System;
        /// The model's name.
        model: Option<String>, System;
        /// Occupied sockets.
        sockets: Option<u32>, System, unit = "{socket}";
        /// Cores that are in use.
        cores: Option<u32>, System, unit = "{cpu}";
        /// Of those, the small ones of a hybrid processor; absent where all cores are alike.
        efficiency_cores: Option<u32>, System, unit = "{cpu}";
        /// Hardware threads that are in use.
        threads: Option<u32>, System, unit = "{thread}";
        /// Hardware threads that are switched off.
        threads_offline: Option<u32>, System, unit = "{thread}";
        /// Base frequency of the fastest core.
        base_frequency: Option<u64>, System, unit = "Hz";
        /// Highest frequency of the fastest core.
        max_frequency: Option<u64>, System, unit = "Hz";
        /// First-level data caches, together.
        cache_l1d: Option<u64>, System, unit = "By";
        /// First-level instruction caches, together.
        cache_l1i: Option<u64>, System, unit = "By";
        /// Second-level caches, together.
        cache_l2: Option<u64>, System, unit = "By";
        /// Third-level caches, together.
        cache_l3: Option<u64>, System, unit = "By";
        /// NUMA nodes.
        numa_nodes: Option<u32>, System, unit = "{node}";
    }
}

nested! {
    /// A memory module.
    pub struct Module {
        /// Its size.
        size: Option<u64>, System, unit = "By";
        /// Its kind: `ddr4`, `lpddr5`.
        kind: Option<&'static str>, System;
        /// Transfers a second at which it runs.
        speed: Option<u64>, System, unit = "{transfer}/s";
    }
}

event! {
    /// The memory: what is installed, what the system can use, and what backs it.
    pub struct Memory = "candor.device.memory", Basic, "to know which machines there are" {
        /// Installed memory.
        installed: Option<u64>, System, unit = "By";
        /// Memory that the system can use.
        usable: Option<u64>, System, unit = "By";
        /// Swap or page files; 0 where there is none.
        swap: Option<u64>, System, unit = "By";
        /// The modules; absent where the firmware does not list them to this agent.
        modules: Option<Vec<Module>>, System;
    }
}

choice! {
    /// What an adapter is.
    pub enum AdapterKind {
        /// Wired.
        Ethernet = "ethernet",
        /// Wireless LAN.
        Wifi = "wifi",
        /// Mobile network.
        Cellular = "cellular",
        /// Joins networks.
        Bridge = "bridge",
        /// Several adapters as one; teams too.
        Bond = "bond",
        /// One tagged network on another adapter.
        Vlan = "vlan",
        /// Carries packets in packets; `WireGuard` and other VPNs too.
        Tunnel = "tunnel",
        /// Software only: veth, dummy, macvlan.
        Virtual = "virtual",
        /// The host to itself.
        Loopback = "loopback",
    }
}

choice! {
    /// Whether an adapter can carry packets.
    pub enum AdapterState {
        /// It can.
        Up = "up",
        /// It is switched off, or nothing is connected.
        Down = "down",
        /// It waits for something, such as a login.
        Dormant = "dormant",
        /// The adapter that it stands on is down.
        LowerLayerDown = "lower_layer_down",
        /// It is being tested.
        Testing = "testing",
    }
}

nested! {
    /// A network adapter.
    pub struct Adapter {
        /// What it is.
        kind: Option<AdapterKind>, System;
        /// Whether hardware stands behind it: false for software and for a hypervisor's
        /// paravirtual adapters.
        physical: Option<bool>, System;
        /// The driver's name.
        driver: Option<String>, Software;
        /// Speed of the link; absent while it is down and where the adapter does not tell.
        link_speed: Option<u64>, System, unit = "bit/s";
        /// Whether it can carry packets.
        state: Option<AdapterState>, System;
    }
}

event! {
    /// The network adapters, without names and addresses.
    pub struct Network = "candor.device.network", Basic, "to know which machines there are" {
        /// How many there are, loopback and software adapters included.
        count: Option<u32>, System, unit = "{adapter}";
        /// Each of them, hardware first; at most 64.
        adapters: Option<Vec<Adapter>>, System;
    }
}

choice! {
    /// What a drive is.
    pub enum DriveKind {
        /// It turns.
        Hdd = "hdd",
        /// It does not turn.
        Ssd = "ssd",
        /// It speaks `NVMe`.
        Nvme = "nvme",
        /// A hypervisor's paravirtual drive, such as virtio.
        Virtual = "virtual",
        /// Its medium can be taken out, as the drive itself says.
        Removable = "removable",
    }
}

choice! {
    /// How a drive is connected.
    pub enum DriveBus {
        /// `NVMe`.
        Nvme = "nvme",
        /// SATA or older ATA.
        Ata = "ata",
        /// SAS.
        Sas = "sas",
        /// SCSI of whatever transport, RAID controllers included.
        Scsi = "scsi",
        /// USB.
        Usb = "usb",
        /// SD card or eMMC.
        Mmc = "mmc",
        /// UFS.
        Ufs = "ufs",
        /// virtio.
        Virtio = "virtio",
        /// Xen's block device.
        Xen = "xen",
        /// Hyper-V's bus.
        Vmbus = "vmbus",
        /// `VMware`'s paravirtual SCSI.
        Pvscsi = "pvscsi",
    }
}

nested! {
    /// A drive.
    pub struct Drive {
        /// What it is.
        kind: Option<DriveKind>, System;
        /// How it is connected.
        bus: Option<DriveBus>, System;
        /// Its size.
        size: Option<u64>, System, unit = "By";
        /// Its logical sector size.
        sector_size: Option<u64>, System, unit = "By";
        /// Its physical sector size.
        physical_sector_size: Option<u64>, System, unit = "By";
        /// Its model without the variant's suffix.
        model_family: Option<String>, System;
    }
}

event! {
    /// The drives, without names and serial numbers. Partitions, volumes, arrays and memory disks
    /// are no drives. No drive is woken to be told of.
    pub struct Storage = "candor.device.storage", Basic, "to know which machines there are" {
        /// How many there are, removable media left out.
        count: Option<u32>, System, unit = "{drive}";
        /// Each of them, removable media included; at most 256.
        drives: Option<Vec<Drive>>, System;
    }
}
