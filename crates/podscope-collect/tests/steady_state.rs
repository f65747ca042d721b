//! What runs every second allocates nothing once it has run: no garbage, no growth, whatever the uptime.
#![expect(unsafe_code, reason = "counting allocations takes an allocator of our own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use podscope_collect::{HostConfig, HostFs, MemFs, host_collectors};
use podscope_model::batch::Row;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_collection_of_every_second_allocates_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vm-2cpu");
    let fs: Arc<dyn HostFs> = Arc::new(MemFs::from_dir(&folder).expect("the capture is readable"));
    let mut checked = 0;
    for mut collector in host_collectors(fs, &HostConfig::default()) {
        let descriptor = collector.descriptor();
        if descriptor.interval_ms > 1000 || !collector.detect().is_present() {
            continue;
        }
        let mut row = Row::new();
        let mut collect = || {
            row.begin();
            let before = ALLOCATIONS.get();
            collector.collect(&mut row).expect("the capture is good");
            ALLOCATIONS.get() - before
        };
        // The first makes the columns and the buffers.
        collect();
        let again: u64 = (0..10).map(|_| collect()).sum();
        assert_eq!(again, 0, "{} allocates", descriptor.name);
        checked += 1;
    }
    assert!(checked >= 10, "only {checked} collectors run every second");
}
