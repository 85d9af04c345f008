//! System calls that are refused, as by a sandbox or at a limit.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

use std::collections::BTreeMap;
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

/// Answers a call with an error, whatever it is given, or if one of these rules holds; lets all else pass.
pub fn refusal(call: i64, rules: Vec<SeccompRule>, errno: i32) -> BpfProgram {
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let refuse = SeccompAction::Errno(errno as u32);
    let rules = BTreeMap::from([(call, rules)]);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
    filter.unwrap().try_into().unwrap()
}

/// As a limit on the number of threads does. Processes are not refused: LeakSanitizer needs one.
pub fn threads() -> [BpfProgram; 2] {
    const THREAD: u64 = libc::CLONE_THREAD as u64;
    let is_thread = SeccompCmpOp::MaskedEq(THREAD);
    let is_thread = SeccompCondition::new(0, SeccompCmpArgLen::Qword, is_thread, THREAD).unwrap();
    let rules = vec![SeccompRule::new(vec![is_thread]).unwrap()];
    // The newer call has its flags in memory, where no filter looks. Where it is missing, the other one is made.
    [
        refusal(libc::SYS_clone3, Vec::new(), libc::ENOSYS),
        refusal(libc::SYS_clone, rules, libc::EAGAIN),
    ]
}

/// From now on, no thread of the process gets another one.
pub fn refuse_threads() {
    threads().iter().for_each(|filter| apply_filter_all_threads(filter).unwrap());
    assert!(thread::Builder::new().spawn(|| ()).is_err());
}
