//! A file layer under `SQLite`: passes everything on to the operating system's, and for one
//! directory writes down what changed and fails when it is told to.
//!
//! # Invariants
//! - One directory is watched at a time; the lab's tests take turns.
//! - Files of other directories are not touched by it.

#![expect(unsafe_code, reason = "SQLite's file layer is a table of C functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Instant;

use candor_spool::LossBound;
use rusqlite::ffi;

/// One change of the disk.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write { place: usize, bytes: Arc<[u8]> },
    Truncate(usize),
    Sync,
    Delete,
}

/// A change of a file, and what was there beside it then.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) file: String,
    pub(crate) change: Change,
    /// The mirror of the counters.
    pub(crate) mirror: Option<Arc<[u8]>>,
    /// What was said just before of what a power cut would lose.
    pub(crate) word: Option<Word>,
}

/// What an agent's status says at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) at: Instant,
    /// Drafts that had been handed over by then.
    pub(crate) given: usize,
    pub(crate) bound: LossBound,
}

/// Asks for it.
type Ask = Box<dyn Fn() -> Word + Send>;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Calls that still succeed.
    pub(crate) after: usize,
    /// Calls that fail then.
    pub(crate) times: usize,
    pub(crate) kind: Kind,
}

/// How it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `ENOSPC`, after half of the bytes.
    Full,
    /// `EIO`.
    Broken,
    /// `EIO`, of syncs only.
    Unsynced,
    /// `EIO` of one sync, and of every call after it.
    Gone,
    /// A bit of what is read is another.
    Flip,
}

/// A sync that does not come back until it may.
#[derive(Default)]
pub(crate) struct Gate {
    /// Somebody stands before it; it is open.
    state: Mutex<(bool, bool)>,
    turn: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        self.turn.notify_all();
        drop(self.turn.wait_while(state, |(_, is_open)| !*is_open).unwrap());
    }

    /// Waits until somebody stands before it.
    pub(crate) fn is_reached(&self) {
        let state = self.state.lock().unwrap();
        drop(self.turn.wait_while(state, |(is_reached, _)| !*is_reached).unwrap());
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.turn.notify_all();
    }
}

/// What the layer knows.
#[derive(Default)]
struct Lab {
    dir: Option<PathBuf>,
    trace: Vec<Op>,
    fault: Option<Fault>,
    /// Calls that failed.
    failed: usize,
    ask: Option<Ask>,
    gate: Option<Arc<Gate>>,
}

static LAB: Mutex<Lab> =
    Mutex::new(Lab { dir: None, trace: Vec::new(), fault: None, failed: 0, ask: None, gate: None });
static TURN: Mutex<()> = Mutex::new(());

fn lab() -> MutexGuard<'static, Lab> {
    LAB.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory that is watched until this is dropped.
pub(crate) struct Watch(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

#[expect(clippy::unused_self, reason = "who holds the watch may ask, nobody else")]
impl Watch {
    pub(crate) fn over(dir: &Path) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        register();
        *lab() = Lab { dir: Some(dir.to_owned()), ..Lab::default() };
        Self(turn)
    }

    /// Changes so far.
    pub(crate) fn len(&self) -> usize {
        lab().trace.len()
    }

    pub(crate) fn take(&self) -> Vec<Op> {
        std::mem::take(&mut lab().trace)
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        lab().fault = fault;
    }

    /// Has this asked before each change.
    pub(crate) fn ask(&self, ask: Ask) {
        lab().ask = Some(ask);
    }

    /// Holds each sync from now on.
    pub(crate) fn hold(&self) -> Arc<Gate> {
        Arc::clone(lab().gate.insert(Arc::default()))
    }

    /// Whether the fault came about.
    pub(crate) fn has_failed(&self) -> bool {
        lab().failed > 0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *lab() = Lab::default();
    }
}

/// Our part of an open file; the operating system's follows it in memory.
#[repr(C, align(8))]
struct File {
    base: ffi::sqlite3_file,
    /// Name in the watched directory; null for a file elsewhere.
    name: *mut String,
}

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite's default layer lives as long as the process; the copy is never freed.
        unsafe {
            let real = ffi::sqlite3_vfs_find(std::ptr::null());
            let own = Box::leak(Box::new(std::ptr::read(real)));
            own.pNext = std::ptr::null_mut();
            own.zName = c"lab".as_ptr();
            own.szOsFile += c_int::try_from(size_of::<File>()).unwrap();
            own.xOpen = Some(open);
            own.xDelete = Some(delete);
            REAL.get_or_init(|| Real(real));
            assert_eq!(ffi::sqlite3_vfs_register(own, 1), ffi::SQLITE_OK);
        }
    });
}

struct Real(*mut ffi::sqlite3_vfs);
// SAFETY: the table of functions is never changed after SQLite made it.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}
static REAL: std::sync::OnceLock<Real> = std::sync::OnceLock::new();

/// The operating system's part of a file.
fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: `szOsFile` made room for it behind ours.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// The table of the operating system's part.
macro_rules! below {
    ($file:expr, $function:ident $(, $argument:expr)*) => {{
        let file = real($file);
        // SAFETY: SQLite opened the file, so its table is there and complete.
        unsafe { (*(*file).pMethods).$function.unwrap()(file $(, $argument)*) }
    }};
}

fn name_of(file: *mut ffi::sqlite3_file) -> Option<String> {
    // SAFETY: ours since `open`; the name is null or a leaked box that `close` frees.
    unsafe { (*file.cast::<File>()).name.as_ref().cloned() }
}

/// The name of a path in the watched directory.
fn watched(path: *const c_char) -> Option<String> {
    if path.is_null() {
        return None;
    }
    // SAFETY: SQLite hands a path that ends with a zero.
    let path = Path::new(unsafe { CStr::from_ptr(path) }.to_str().ok()?);
    let is_in = path.parent() == lab().dir.as_deref();
    is_in.then(|| path.file_name().unwrap().to_str().unwrap().to_owned())
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let vfs = REAL.get().unwrap().0;
    // SAFETY: the room behind ours is the layer's own size; the arguments are SQLite's.
    let code = unsafe { (*vfs).xOpen.unwrap()(vfs, path, real(file), flags, out) };
    let name = watched(path).map_or(std::ptr::null_mut(), |name| Box::into_raw(Box::new(name)));
    // SAFETY: SQLite gave room for the whole struct.
    unsafe {
        (*file.cast::<File>()).name = name;
        // A file that did not open has no table, and SQLite does not close it.
        (*file).pMethods =
            if (*real(file)).pMethods.is_null() { std::ptr::null() } else { &raw const METHODS };
    }
    if code == ffi::SQLITE_OK && fails(file, Call::Open).is_some() {
        // It is open, and SQLite closes what has a table.
        return ffi::SQLITE_CANTOPEN;
    }
    code
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, path: *const c_char, sync: c_int) -> c_int {
    if let Some(name) = watched(path) {
        note(name, Change::Delete);
    }
    let vfs = REAL.get().unwrap().0;
    // SAFETY: the arguments are SQLite's.
    unsafe { (*vfs).xDelete.unwrap()(vfs, path, sync) }
}

fn note(file: String, change: Change) {
    let mut lab = lab();
    let mirror = lab.dir.as_ref().and_then(|dir| std::fs::read(dir.join("counters.mirror")).ok());
    let word = lab.ask.as_ref().map(|ask| ask());
    lab.trace.push(Op { file, change, mirror: mirror.map(Into::into), word });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Open,
    Read,
    Write,
    Sync,
}

/// Whether this call is one that fails.
fn fails(file: *mut ffi::sqlite3_file, call: Call) -> Option<Kind> {
    name_of(file)?;
    let mut lab = lab();
    let is_after = lab.failed > 0;
    let concerns = |kind| match kind {
        Kind::Full | Kind::Broken => matches!(call, Call::Write | Call::Sync),
        Kind::Unsynced => call == Call::Sync,
        Kind::Gone => call == Call::Sync || is_after,
        Kind::Flip => call == Call::Read,
    };
    let fault = lab.fault.as_mut().filter(|fault| concerns(fault.kind))?;
    if fault.after > 0 {
        fault.after -= 1;
        return None;
    }
    fault.times = fault.times.checked_sub(1)?;
    let kind = fault.kind;
    lab.failed += 1;
    Some(kind)
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the name is null or the box that `open` leaked; SQLite closes a file once.
    unsafe {
        let name = std::ptr::replace(&raw mut (*file.cast::<File>()).name, std::ptr::null_mut());
        if !name.is_null() {
            drop(Box::from_raw(name));
        }
    }
    below!(file, xClose)
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    length: c_int,
    place: ffi::sqlite3_int64,
) -> c_int {
    let code = below!(file, xRead, to, length, place);
    let fault = fails(file, Call::Read);
    if fault == Some(Kind::Gone) {
        return ffi::SQLITE_IOERR_READ;
    }
    if code == ffi::SQLITE_OK && fault.is_some() {
        let length = usize::try_from(length).unwrap();
        // SAFETY: SQLite gave a buffer of this length.
        let bytes = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), length) };
        let bit = usize::try_from(place).unwrap() / 7 + length * 5 / 3;
        bytes[bit / 8 % length] ^= 1 << (bit % 8);
    }
    code
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    place: ffi::sqlite3_int64,
) -> c_int {
    let put = |length: c_int| {
        let code = below!(file, xWrite, from, length, place);
        if let Some(name) = name_of(file).filter(|_| code == ffi::SQLITE_OK) {
            // SAFETY: SQLite gave a buffer of at least this length.
            let bytes = unsafe {
                std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(length).unwrap())
            };
            let place = usize::try_from(place).unwrap();
            note(name, Change::Write { place, bytes: bytes.into() });
        }
        code
    };
    match fails(file, Call::Write) {
        Some(Kind::Full) => {
            put(length / 2);
            ffi::SQLITE_FULL
        }
        Some(_) => ffi::SQLITE_IOERR_WRITE,
        None => put(length),
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    if fails(file, Call::Write).is_some() {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    let code = below!(file, xTruncate, size);
    if let Some(name) = name_of(file) {
        note(name, Change::Truncate(usize::try_from(size).unwrap()));
    }
    code
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // The disk is of our making: what is synced is what the trace says, and a real sync only
    // takes time.
    let gate = name_of(file).and_then(|_| lab().gate.clone());
    if let Some(gate) = gate {
        gate.pass();
    }
    match fails(file, Call::Sync) {
        Some(Kind::Full) => ffi::SQLITE_FULL,
        Some(_) => ffi::SQLITE_IOERR_FSYNC,
        None => {
            if let Some(name) = name_of(file) {
                note(name, Change::Sync);
            }
            ffi::SQLITE_OK
        }
    }
}

unsafe extern "C" fn file_size(f: *mut ffi::sqlite3_file, s: *mut ffi::sqlite3_int64) -> c_int {
    below!(f, xFileSize, s)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, kind: c_int) -> c_int {
    below!(file, xLock, kind)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, kind: c_int) -> c_int {
    below!(file, xUnlock, kind)
}

unsafe extern "C" fn check_reserved_lock(f: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    below!(f, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(f: *mut ffi::sqlite3_file, op: c_int, a: *mut c_void) -> c_int {
    below!(f, xFileControl, op, a)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    below!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    below!(file, xDeviceCharacteristics)
}
