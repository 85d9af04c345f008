//! A process that gets no more threads.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

use std::collections::BTreeMap;
use std::thread;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};

/// From now on, no thread of the process gets another one, as with a limit on their number.
pub(crate) fn refuse_threads() {
    const EAGAIN: u32 = 11;
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let rules = [libc::SYS_clone, libc::SYS_clone3].map(|call| (call, Vec::new()));
    let refuse = SeccompAction::Errno(EAGAIN);
    let filter = SeccompFilter::new(BTreeMap::from(rules), SeccompAction::Allow, refuse, arch);
    let filter: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter_all_threads(&filter).unwrap();
    assert!(thread::Builder::new().spawn(|| ()).is_err());
}
