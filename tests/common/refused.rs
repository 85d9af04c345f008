//! System calls that are refused, as by a sandbox or at a limit.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

use std::collections::BTreeMap;
use std::thread;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};

/// Answers these calls with an error, and lets everything else pass.
pub fn refusal(calls: impl IntoIterator<Item = i64>, errno: i32) -> BpfProgram {
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let rules: BTreeMap<_, _> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(errno as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
    filter.unwrap().try_into().unwrap()
}

/// As a limit on the number of threads does.
pub fn threads() -> BpfProgram {
    refusal([libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN)
}

/// From now on, no thread of the process gets another one.
pub fn refuse_threads() {
    apply_filter_all_threads(&threads()).unwrap();
    assert!(thread::Builder::new().spawn(|| ()).is_err());
}
