//! Windows' security objects as safe types: descriptors, tokens, SIDs. Used by the Windows halves
//! of `endpoint`, `peer`, `file` and `lock`.
//!
//! # Invariants
//! - A SID leaves this file only as text (`S-1-5-18`); no lookup asks a domain controller.
//! - A thread that took on a client's identity gives it back before this file returns, or the
//!   process ends.
//!
//! On failure: the system's error; what cannot be told counts as not trusted, not administrator.
#![expect(unsafe_code, reason = "raw calls of the security functions")]

use std::ffi::{OsStr, OsString, c_void};
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle, RawHandle};
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_FILE_OBJECT, SE_KERNEL_OBJECT, SetNamedSecurityInfoW,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, CheckTokenMembership, CreateWellKnownSid,
    DACL_SECURITY_INFORMATION, DuplicateTokenEx, GetAce, GetSecurityDescriptorDacl,
    GetTokenInformation, INHERIT_ONLY_ACE, OWNER_SECURITY_INFORMATION,
    PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, RevertToSelf,
    SECURITY_ATTRIBUTES, SECURITY_MAX_SID_SIZE, SecurityIdentification, TOKEN_DUPLICATE,
    TOKEN_QUERY, TOKEN_USER, TokenImpersonation, TokenUser, WinBuiltinAdministratorsSid,
};
use windows_sys::Win32::System::Pipes::ImpersonateNamedPipeClient;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, OpenProcess, OpenProcessToken, OpenThreadToken,
    PROCESS_QUERY_LIMITED_INFORMATION,
};

/// SYSTEM, Administrators, the agent's own service, the installer of Windows' own files, and "whoever
/// owns it" (the owner is judged by himself).
const TRUSTED: [&str; 6] = [
    "S-1-5-18",
    "S-1-5-32-544",
    crate::sddl::SERVICE,
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
    "S-1-3-0",
    "S-1-3-4",
];

/// Write or append data, delete a child, delete, change the list or the owner, generic all/write.
const WRITE: u32 = 0x2 | 0x4 | 0x40 | 0x1_0000 | 0x4_0000 | 0x8_0000 | 0x1000_0000 | 0x4000_0000;

/// Text as the system wants it: UTF-16, ended by a zero.
pub(crate) fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain(Some(0)).collect()
}

/// Text as the system gives it.
///
/// # Safety
/// `text` points to UTF-16 that ends with a zero.
pub(crate) unsafe fn from_wide(text: *const u16) -> OsString {
    let mut length = 0;
    // SAFETY: every place up to the zero is inside the text.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: as above.
    OsString::from_wide(unsafe { std::slice::from_raw_parts(text, length) })
}

/// A security descriptor in the system's memory.
pub(crate) struct Descriptor(PSECURITY_DESCRIPTOR);

impl Descriptor {
    pub(crate) fn from_sddl(text: &str) -> io::Result<Self> {
        let text = wide(OsStr::new(text));
        let mut descriptor = null_mut();
        // SAFETY: the text ends with a zero; the system allocates the descriptor, we free it.
        let done = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(descriptor)) }
    }

    /// For a call that only reads it.
    pub(crate) fn as_ptr(&self) -> PSECURITY_DESCRIPTOR {
        self.0
    }

    /// For a call that creates something. Points into this descriptor: keep it until then.
    pub(crate) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }

    /// Replaces the access list of an existing file or directory, and of what inherits from it.
    pub(crate) fn apply_list_to(&self, path: &Path) -> io::Result<()> {
        let (mut present, mut defaulted, mut list) = (0, 0, null_mut());
        // SAFETY: a valid descriptor, three outputs of ours; the list points into the descriptor.
        let done = unsafe {
            GetSecurityDescriptorDacl(self.0, &raw mut present, &raw mut list, &raw mut defaulted)
        };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        let mut name = wide(path.as_os_str());
        let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
        // SAFETY: the name ends with a zero; the list lives as long as the descriptor; the owner,
        // group and audit list are not asked to change.
        let code = unsafe {
            SetNamedSecurityInfoW(
                name.as_mut_ptr(),
                SE_FILE_OBJECT,
                what,
                null_mut(),
                null_mut(),
                list,
                null(),
            )
        };
        answer(code)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for us with its local allocator.
        unsafe { LocalFree(self.0) };
    }
}

/// An access token.
pub(crate) struct Token(OwnedHandle);

impl Token {
    /// Of this process.
    pub(crate) fn own() -> io::Result<Self> {
        // SAFETY: a constant that stands for this process and need not be closed.
        Self::of_handle(unsafe { GetCurrentProcess() })
    }

    /// Of the process with this id.
    pub(crate) fn of_process(pid: u32) -> io::Result<Self> {
        // SAFETY: takes numbers only.
        let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
        let process = owned(process)?;
        Self::of_handle(process.as_raw_handle())
    }

    /// Of the client of a pipe from which a byte was read, as the system saw it then.
    pub(crate) fn of_pipe_client(pipe: RawHandle) -> io::Result<Self> {
        // SAFETY: the caller's pipe is open; a failure is an answer.
        if unsafe { ImpersonateNamedPipeClient(pipe) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let mut token = null_mut();
        // SAFETY: a constant for this thread, and an output of ours; opened as this process.
        let done = unsafe {
            OpenThreadToken(GetCurrentThread(), TOKEN_QUERY | TOKEN_DUPLICATE, 1, &raw mut token)
        };
        let error = io::Error::last_os_error();
        // SAFETY: takes nothing.
        if unsafe { RevertToSelf() } == 0 {
            // To go on would mean to act as the client.
            std::process::abort();
        }
        if done == 0 { Err(error) } else { owned(token).map(Self) }
    }

    fn of_handle(process: HANDLE) -> io::Result<Self> {
        let mut token = null_mut();
        // SAFETY: the process handle is open; the output is ours.
        let done =
            unsafe { OpenProcessToken(process, TOKEN_QUERY | TOKEN_DUPLICATE, &raw mut token) };
        if done == 0 { Err(io::Error::last_os_error()) } else { owned(token).map(Self) }
    }

    /// Whether the Administrators group is on in it. In the filtered token of an administrator who
    /// did not elevate it is off.
    pub(crate) fn is_administrator(&self) -> bool {
        self.membership().unwrap_or(false)
    }

    fn membership(&self) -> io::Result<bool> {
        let mut copy = null_mut();
        // SAFETY: our token, an output of ours. The check wants an impersonation token.
        let done = unsafe {
            DuplicateTokenEx(
                self.0.as_raw_handle(),
                TOKEN_QUERY,
                null(),
                SecurityIdentification,
                TokenImpersonation,
                &raw mut copy,
            )
        };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        let copy = owned(copy)?;
        let mut group = [0_u64; SECURITY_MAX_SID_SIZE as usize / 8 + 1];
        let mut size = SECURITY_MAX_SID_SIZE;
        let sid: PSID = group.as_mut_ptr().cast();
        let mut member = 0;
        // SAFETY: the buffer holds the longest SID there is and is aligned; the outputs are ours.
        let done = unsafe {
            CreateWellKnownSid(WinBuiltinAdministratorsSid, null_mut(), sid, &raw mut size) != 0
                && CheckTokenMembership(copy.as_raw_handle(), sid, &raw mut member) != 0
        };
        if done { Ok(member != 0) } else { Err(io::Error::last_os_error()) }
    }

    /// The user.
    pub(crate) fn sid(&self) -> Option<String> {
        const ROOM: usize = 32;
        let mut buffer = [0_u64; ROOM];
        let mut used = 0;
        let size = u32::try_from(ROOM * 8).ok()?;
        // SAFETY: the buffer is as long as we say, and aligned for the struct that it gets.
        let done = unsafe {
            GetTokenInformation(
                self.0.as_raw_handle(),
                TokenUser,
                buffer.as_mut_ptr().cast(),
                size,
                &raw mut used,
            )
        };
        if done == 0 {
            return None;
        }
        // SAFETY: the system filled in a TOKEN_USER whose SID lies behind it in the same buffer.
        unsafe { sid_text((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid) }
    }
}

/// The user who runs this process.
pub(crate) fn own_sid() -> Option<String> {
    Token::own().ok()?.sid()
}

/// Whether what this SID owns or may write can be trusted.
pub(crate) fn is_trusted(sid: &str) -> bool {
    TRUSTED.contains(&sid) || own_sid().as_deref() == Some(sid)
}

/// The owner of an open file or directory, and one SID besides the trusted ones that may write it.
pub(crate) fn owner_and_writer(file: &File) -> io::Result<(String, Option<String>)> {
    let (mut owner, mut list, mut descriptor) = (null_mut(), null_mut(), null_mut());
    // SAFETY: an open file; the outputs are ours and point into the descriptor, which we free.
    let code = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            &raw mut list,
            null_mut(),
            &raw mut descriptor,
        )
    };
    answer(code)?;
    let _freed_last = Descriptor(descriptor);
    // SAFETY: both point into the descriptor, which lives until the end of this function.
    let (owner, writer) = unsafe { (sid_text(owner), writer(list)) };
    let owner = owner.ok_or_else(|| io::Error::other("its owner has no name"))?;
    Ok((owner, writer))
}

/// The owner of an open pipe: who made its first instance.
pub(crate) fn owner_of_pipe(pipe: RawHandle) -> io::Result<String> {
    let (mut owner, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: an open pipe; the outputs are ours, and the owner points into the descriptor that we free.
    let code = unsafe {
        GetSecurityInfo(
            pipe,
            SE_KERNEL_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    answer(code)?;
    let _freed_last = Descriptor(descriptor);
    // SAFETY: it points into the descriptor, which lives until the end of this function.
    unsafe { sid_text(owner) }.ok_or_else(|| io::Error::other("its owner has no name"))
}

/// The first that may write and is not trusted.
///
/// # Safety
/// `list` is null or a valid access list.
unsafe fn writer(list: *const ACL) -> Option<String> {
    if list.is_null() {
        // No list at all: everybody may do everything.
        return Some("S-1-1-0".to_owned());
    }
    // SAFETY: the list is valid.
    let count = unsafe { (*list).AceCount };
    (0..u32::from(count)).find_map(|index| {
        let mut entry: *mut c_void = null_mut();
        // SAFETY: the list is valid and the index below its count.
        if unsafe { GetAce(list, index, &raw mut entry) } == 0 {
            return Some("an entry that cannot be read".to_owned());
        }
        // SAFETY: every entry starts with a header, and says its length in it.
        unsafe { entry_writer(entry) }
    })
}

/// # Safety
/// `entry` is an entry of a valid access list.
unsafe fn entry_writer(entry: *const c_void) -> Option<String> {
    // SAFETY: every entry starts with a header.
    let header = unsafe { &*entry.cast::<ACE_HEADER>() };
    let inherit_only = u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0;
    match header.AceType {
        _ if inherit_only => None,
        // Allowed, plainly or on a condition: the same layout.
        0 | 9 => {
            let allowed = entry.cast::<ACCESS_ALLOWED_ACE>();
            // SAFETY: entries of these types are that struct, and the SID starts at its last field.
            let (mask, sid) = unsafe {
                ((*allowed).Mask, sid_text((&raw const (*allowed).SidStart).cast_mut().cast()))
            };
            let sid = sid.unwrap_or_else(|| "an entry that cannot be read".to_owned());
            (mask & WRITE != 0 && !is_trusted(&sid)).then_some(sid)
        }
        // Allowed for an object type: does not occur on files.
        5 | 11 => Some("an entry of a kind that files do not have".to_owned()),
        _ => None,
    }
}

/// # Safety
/// `sid` is null or a valid SID.
unsafe fn sid_text(sid: PSID) -> Option<String> {
    if sid.is_null() {
        return None;
    }
    let mut text: *mut u16 = null_mut();
    // SAFETY: a valid SID; the system allocates the text, we free it.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut text) } == 0 {
        return None;
    }
    // SAFETY: on success the text ends with a zero and was allocated for us.
    unsafe {
        let told = from_wide(text).to_string_lossy().into_owned();
        LocalFree(text.cast());
        Some(told)
    }
}

fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system just gave it to us, and nobody else closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

pub(crate) fn answer(code: u32) -> io::Result<()> {
    if code == ERROR_SUCCESS {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(i32::try_from(code).unwrap_or(i32::MAX)))
}
