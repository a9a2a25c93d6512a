//! A machine stuffed with what must not leave, in every place from which a probe reads or might come to
//! read. Below level 3 nothing of it is in any payload; at level 3 log lines are there, scrubbed, and
//! connections, with hashes in place of addresses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use candor_tests::Agent;
use serde_json::Value;

use crate::preview;
use crate::tree::Tree;

const MAC: &str = "02:ca:fe:ca:fe:01";
const USER: &str = "canaryuser";
const HOST: &str = "canary-host-01";
const PLAN: &str = "secret-plan";
const SERIAL: &str = "SN-CANARY-4711";
pub(crate) const PASSWORD: &str = "hunter2canary";
const MAIL: &str = "canary@example.org";
/// `203.0.113.77` and `2001:db8:ca:fe::77`, as they are written and as the kernel's tables have them.
const ADDRESSES: [&str; 4] = ["203.0.113.77", "2001:db8:ca:fe::77", "4D7100CB", "B80D0120FE00CA00"];

/// The machine.
pub(crate) fn tree() -> Tree {
    let tree = before_crashes();
    crashes(&tree);
    tree
}

/// The machine before its programs crashed.
pub(crate) fn before_crashes() -> Tree {
    let tree = Tree::recorded("laptop");
    names(&tree);
    hardware(&tree);
    processes(&tree);
    sockets(&tree);
    logs(&tree);
    tree
}

fn names(tree: &Tree) {
    let home = format!("/home/{USER}");
    tree.file(
        "etc/passwd",
        format!("root:x:0:0::/root:/bin/sh\n{USER}:x:1000:1000:{MAIL}:{home}:/bin/sh\n"),
    );
    tree.file("proc/sys/kernel/hostname", format!("{HOST}.example.org"));
    tree.file("etc/machine-id", SERIAL).file("etc/hosts", format!("203.0.113.77 {HOST}\n"));
    tree.file(&format!("home/{USER}/{PLAN}.odt"), PASSWORD);
    let mounts = format!(
        "30 1 252:1 / / rw - ext4 /dev/mapper/ubuntu--vg-lv rw\n\
         31 30 8:1 / {home}/{PLAN} rw - ext4 /dev/disk/by-id/{SERIAL} rw\n\
         32 30 0:99 / /mnt/{USER} rw - cifs //{HOST}/{PLAN} rw,username={USER},password={PASSWORD}\n"
    );
    std::fs::remove_file(tree.root().join("proc/1/mountinfo")).expect("the laptop has one");
    tree.file("proc/1/mountinfo", mounts);
    tree.file(
        "etc/candor/providers.d/shop.toml",
        format!("version = \"1.2\"\nowner = \"{MAIL}\"\n"),
    );
}

fn hardware(tree: &Tree) {
    for file in
        ["product_serial", "board_serial", "chassis_serial", "product_uuid", "chassis_asset_tag"]
    {
        std::fs::remove_file(tree.root().join("sys/class/dmi/id").join(file)).ok();
        tree.file(&format!("sys/class/dmi/id/{file}"), SERIAL);
    }
    for name in ["wlp0s20f3", "enx", "docker0", "veth1"] {
        tree.file(&format!("sys/class/net/{name}/address"), MAC);
        tree.file(&format!("sys/class/net/{name}/ifalias"), USER);
    }
    for drive in ["nvme0n1", "sda"] {
        tree.files(
            &format!("sys/block/{drive}/device"),
            &[("serial", SERIAL), ("wwid", SERIAL), ("vpd_pg80", SERIAL)],
        );
    }
    tree.file("sys/class/power_supply/BAT0/serial_number", SERIAL);
    tree.files("sys/class/hwmon/hwmon0", &[("name", "coretemp"), ("temp1_input", "45000")]);
    tree.file("proc/modules", "iwlwifi 1 0 - Live 0x0000000000000000\n");
}

fn processes(tree: &Tree) {
    for (pid, name) in [(1, "systemd"), (4711, "backup")] {
        let stat = format!(
            "{pid} ({name}) S 0 1 1 0 -1 4194560 1 0 0 0 10 5 0 0 20 0 1 0 100 1000000 500 0\n"
        );
        tree.file(&format!("proc/{pid}/stat"), stat).file(&format!("proc/{pid}/comm"), name);
        let line =
            format!("{name}\0--password={PASSWORD}\0--to\0{MAIL}\0/home/{USER}/{PLAN}.odt\0");
        tree.bytes(&format!("proc/{pid}/cmdline"), line.as_bytes());
        tree.bytes(
            &format!("proc/{pid}/environ"),
            format!("HOME=/home/{USER}\0TOKEN={PASSWORD}\0").as_bytes(),
        );
        tree.link(&format!("proc/{pid}/cwd"), &format!("home/{USER}"));
        tree.link(&format!("proc/{pid}/exe"), &format!("home/{USER}/{PLAN}"));
    }
    tree.file("proc/uptime", "5000.00 9000.00\n");
    tree.file("proc/stat", "cpu  100 0 50 800 0 0 0 50 0 0\ncpu0 100 0 50 800 0 0 0 50 0 0\n");
}

fn sockets(tree: &Tree) {
    let row = |local: &str, remote: &str, state: &str| {
        format!(
            "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 20 4 30 10 -1\n"
        )
    };
    let own = "4D7100CB:0050";
    let tcp = row("00000000:0050", "00000000:0000", "0A") + &row(own, "4D7100CB:D431", "01");
    tree.file("proc/1/net/tcp", format!("  sl  local_address\n{tcp}"));
    let six = "B80D0120FE00CA000000000077000000";
    tree.file(
        "proc/1/net/tcp6",
        format!(
            "  sl  local_address\n{}",
            row(&format!("{six}:0051"), &format!("{six}:D432"), "01")
        ),
    );
}

fn log_lines() -> Vec<String> {
    vec![
        format!("wlp0s20f3: associate with {MAC} failed"),
        "firewall: drop SRC=203.0.113.77 DST=2001:db8:ca:fe::77".to_owned(),
        format!("backup: cannot open /home/{USER}/{PLAN}.odt for {USER} on {HOST}"),
        format!("backup: login password={PASSWORD} api_key: \"{PASSWORD}\" as {MAIL}"),
        format!("backup: Authorization: Bearer {PASSWORD}"),
        format!("usb 1-1: SerialNumber: {SERIAL}"),
        format!("nvme0: serial number {SERIAL} is failing"),
        "eth0: 02-CA-FE-CA-FE-01 02ca.feca.fe01, enx02cafecafe01: renamed from eth0".to_owned(),
        "peer ::ffff:203.0.113.77 [2001:0db8:00ca:00fe:0000:0000:0000:0077]:443".to_owned(),
        format!("backup: cannot reach postgres://{USER}:{PASSWORD}@db.internal/x"),
        format!("backup: started with --password {PASSWORD} --token={PASSWORD} -v"),
        format!("backup: posted ?to={}&from=<{MAIL}>", MAIL.replace('@', "%40")),
    ]
}

fn logs(tree: &Tree) {
    let lines = log_lines();
    // A moment that is yet to come counts as now.
    let record = |(number, line): (usize, &String)| format!("4,{number},99999999999999,-;{line}\n");
    tree.file("dev/kmsg", lines.iter().enumerate().map(record).collect::<String>());
}

/// Two programs crash.
pub(crate) fn crashes(tree: &Tree) {
    let boot = "0123456789abcdef0123456789abcdef";
    // The year 2100: after any first look.
    tree.file(
        &format!("var/lib/systemd/coredump/core.backup.1000.{boot}.4711.4102444800000000"),
        PASSWORD,
    );
    let report = format!(
        "ProblemType: Crash\nExecutablePath: /home/{USER}/{PLAN}\nProcCmdline: x --password={PASSWORD}\n\
         Package: backup 1.2-3\nSignal: 6\nUname: {HOST}\nCoreDump: base64\n {PASSWORD}\n"
    );
    tree.file(&format!("var/crash/_home_{USER}_{PLAN}.1000.crash"), report);
}

/// Everything planted, in each of its spellings.
fn canaries() -> Vec<String> {
    let named = [MAC, USER, HOST, PLAN, SERIAL, PASSWORD, MAIL];
    let spelt = [
        "02-ca-fe-ca-fe-01",
        "02ca.feca.fe01",
        "02cafecafe01",
        // The address that a link makes of it for itself.
        "ca:feff:feca:fe01",
        "::ffff:203.0.113.77",
        "2001:0db8:00ca:00fe:0000:0000:0000:0077",
        "20010db800ca00fe0000000000000077",
        "cb00714d",
        // As one number.
        "3405803853",
    ];
    named.into_iter().chain(ADDRESSES).chain(spelt).map(str::to_owned).collect()
}

/// The ways in which bytes may hide in others: as they are, in the other case, as UTF-16, as hexadecimal digits, as
/// base64 wherever in a text it begins, backwards.
fn encoded(canary: &str) -> Vec<Vec<u8>> {
    let utf16 = canary.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hexadecimal = canary.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let mut forms = vec![
        canary.as_bytes().to_vec(),
        canary.to_uppercase().into_bytes(),
        canary.to_lowercase().into_bytes(),
        utf16,
        hexadecimal.to_uppercase().into_bytes(),
        hexadecimal.into_bytes(),
        canary.bytes().rev().collect(),
    ];
    for before in 0..3 {
        let text = STANDARD_NO_PAD.encode([&b"xxx"[..before], canary.as_bytes()].concat());
        // The digits at both ends depend on what stands around it.
        let (first, last) = ((before * 8).div_ceil(6), (before + canary.len()) * 8 / 6);
        forms.push(text.as_bytes()[first..last].to_vec());
    }
    forms
}

/// What addresses are where they stand as bytes.
const AS_BYTES: [&[u8]; 2] = [
    &[2, 0xCA, 0xFE, 0xCA, 0xFE, 1],
    &[0x20, 1, 0x0D, 0xB8, 0, 0xCA, 0, 0xFE, 0, 0, 0, 0, 0, 0, 0, 0x77],
];

/// Fails where one of them is in these bytes.
pub(crate) fn search(place: &str, bytes: &[u8]) {
    let canaries = canaries();
    let forms = canaries
        .iter()
        .flat_map(|canary| encoded(canary).into_iter().map(move |form| (canary.as_str(), form)));
    let raw = AS_BYTES.iter().map(|form| ("an address as bytes", form.to_vec()));
    // Each byte as a character: the search in texts is the fast one.
    let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let whole = latin(bytes);
    for (canary, form) in forms.chain(raw) {
        assert!(
            !whole.contains(&latin(&form)),
            "{canary} is in {place} as {}",
            form.escape_ascii()
        );
    }
}

/// Looks through every body that left an agent, as the journal keeps it, and gives their number.
pub(crate) fn search_all_that_left(agent: &Agent, level: u8) -> usize {
    let (status, journal) = agent.ask("GET", "/v1/journal?limit=500", "");
    assert_eq!(status, 200, "{journal}");
    let entries = journal["entries"].as_array().expect("entries");
    for entry in entries {
        let number = &entry["number"];
        let request = format!("GET /v1/journal/{number}/body HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = agent.raw(request.as_bytes()).expect("an answer");
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let body = zstd::decode_all(&answer[head + 4..]).expect("zstd");
        assert!(!body.is_empty());
        search(&format!("the body of request {number} at level {level}"), &body);
    }
    entries.len()
}

#[test]
fn no_canary_is_in_any_payload_and_at_level_3_logs_and_connections_are_there_without_them() {
    let tree = tree();
    for level in 0..=3 {
        let records = preview(&tree, level);
        let text = records.iter().map(Value::to_string).collect::<String>().to_lowercase();
        for canary in canaries() {
            assert!(!text.contains(&canary.to_lowercase()), "{canary} at level {level}: {text}");
        }
        search(&format!("the preview of level {level}"), text.as_bytes());
        let of =
            |name: &str| records.iter().filter(|record| record["name"] == name).collect::<Vec<_>>();
        let expected = if level < 3 { (0, 0) } else { (log_lines().len(), 1) };
        assert_eq!(
            (of("candor.log.record").len(), of("candor.network.connections").len()),
            expected
        );
        if level == 3 {
            let map = &of("candor.network.connections")[0]["attributes"];
            let remote = map["connections"][0]["remote"].as_str().expect("an id");
            assert!(
                remote.len() == 32 && remote.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{map}"
            );
            assert!(text.contains("<home>") && text.contains("<token>"), "{text}");
        }
        let crashes = of("candor.crash.summary");
        assert_eq!(crashes.len(), if level < 1 { 0 } else { 2 }, "{crashes:?}");
        assert!(
            crashes
                .iter()
                .all(|crash| crash["attributes"].get("dump_size").is_some() == (level == 3))
        );
    }
}

/// The search itself: what is hidden is found, whatever stands around it.
#[test]
fn a_canary_is_found_in_every_encoding() {
    for before in 0..4 {
        let text = [&b"abcd"[..before], PASSWORD.as_bytes(), b"efg"].concat();
        let packed = STANDARD_NO_PAD.encode(&text);
        let found = std::panic::catch_unwind(|| search("a test", packed.as_bytes()));
        assert!(found.is_err(), "{packed}");
    }
    for bytes in
        [&b"x HUNTER2CANARY"[..], b"h\0u\0n\0t\0e\0r\x002\0c\0a\0n\0a\0r\0y\0", AS_BYTES[0]]
    {
        assert!(std::panic::catch_unwind(|| search("a test", bytes)).is_err());
    }
    search("a test", b"nothing of it");
}
