//! What INFO shows of the operating system and the allocator.

use std::fs;

use tikv_jemalloc_ctl::{epoch, stats};

use super::sections::{Cpu, Memory};
use crate::sys::usage::{Who, usage};

/// Operating system, release and machine.
#[must_use]
pub fn os() -> String {
    let name = rustix::system::uname();
    [name.sysname(), name.release(), name.machine()].map(|part| part.to_string_lossy().into_owned()).join(" ")
}

/// Resident bytes of this process; 0 where that cannot be told.
#[must_use]
pub fn resident_bytes() -> u64 {
    let pages =
        fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Bytes of memory that the machine has; 0 where that cannot be told.
#[must_use]
pub fn memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Fills in what the system and the allocator know. Costs some tens of microseconds.
pub fn fill_memory(memory: &mut Memory) {
    memory.used_memory_rss = resident_bytes();
    memory.total_system_memory = memory_bytes();
    // The allocator's figures stand still until they are told to move on. Without figures they stay 0.
    if epoch::advance().is_ok() {
        let figure = |read: Result<usize, _>| read.map_or(0, |bytes: usize| bytes as u64);
        memory.allocator_allocated = figure(stats::allocated::read());
        memory.allocator_active = figure(stats::active::read());
        memory.allocator_resident = figure(stats::resident::read());
    }
}

/// Processor time. To be asked on the main thread.
#[must_use]
pub fn cpu() -> Cpu {
    let (own, children, thread) = (usage(Who::Process), usage(Who::Children), usage(Who::Thread));
    Cpu {
        used_cpu_sys: own.system,
        used_cpu_user: own.user,
        used_cpu_sys_children: children.system,
        used_cpu_user_children: children.user,
        used_cpu_sys_main_thread: thread.system,
        used_cpu_user_main_thread: thread.user,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_answers() {
        assert!(os().starts_with("Linux "));
        assert!(resident_bytes() > 1 << 20);
        assert!(memory_bytes() > 64 << 20);
        let mut memory = Memory::default();
        fill_memory(&mut memory);
        assert!(memory.allocator_allocated > 0);
        assert!(memory.allocator_active >= memory.allocator_allocated);
        assert!(memory.allocator_resident >= memory.allocator_active);
    }

    #[test]
    fn processor_time_grows() {
        let before = cpu();
        let mut sum = 0u64;
        while (cpu().used_cpu_user + cpu().used_cpu_sys) == (before.used_cpu_user + before.used_cpu_sys) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let after = cpu();
        assert!(after.used_cpu_user + after.used_cpu_sys > before.used_cpu_user + before.used_cpu_sys);
        assert!(after.used_cpu_user_main_thread <= after.used_cpu_user);
    }
}
