//! Files cut short and files with wrong bits: an error or harmless numbers, never a panic, never more memory than their size
//! allows, never long.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a panic fails the test, and its numbers are told")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use duress_network::files;
use duress_network::random::Stream;

/// Counts what the current thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // While a thread ends its counters are gone, and nobody reads them.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

#[expect(unsafe_code, reason = "a global allocator is unsafe to implement; this one hands everything to the system's")]
// SAFETY: every call is passed on to `System` unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const FIXTURES: [&str; 14] = [
    "tiny.pt",
    "types.pt",
    "tiny-legacy.pt",
    "tiny-tar.pt",
    "types.safetensors",
    "tiny.npz",
    "odd.npz",
    "tiny.h5",
    "tiny.onnx",
    "idioms.onnx",
    "exported-trace.onnx",
    "sequences/attention-trace.onnx",
    "sequences/lstm-dynamo.onnx",
    "keras3.h5",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// File `index` made from `intact`: cut short, or up to eight bytes flipped, set or replaced.
fn damaged(intact: &[u8], name: &str, index: u64) -> Vec<u8> {
    let mut stream = Stream::new(index, name, &[]);
    let mut below = |limit: usize| (stream.next_u64() % limit as u64) as usize;
    let mut content = intact.to_vec();
    if index.is_multiple_of(2) {
        content.truncate(below(content.len()));
        return content;
    }
    for _ in 0..=below(8) {
        // Every other change falls into the head, where the structure of most formats lies.
        let reach = if below(2) == 0 { content.len() } else { content.len().min(1024) };
        let at = below(reach);
        content[at] = match below(4) {
            0 => 0xff,
            1 => below(256) as u8,
            _ => content[at] ^ (1 << below(8)),
        };
    }
    content
}

/// Reads `count` damaged files of each format.
#[expect(clippy::disallowed_methods, reason = "what is measured decides whether a test passes, not what is computed")]
fn survive(count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    for name in FIXTURES {
        let intact = std::fs::read(fixture(name)).unwrap();
        files::read(&fixture(name)).unwrap();
        let (mut read, mut worst, mut slowest) = (0, 0, Duration::ZERO);
        for index in 0..count {
            let content = damaged(&intact, name, index);
            std::fs::write(&path, &content).unwrap();
            let before = HELD.get();
            PEAK.set(before);
            let start = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let _ = files::import_with_graph(&path);
                files::read(&path)
            }));
            slowest = slowest.max(start.elapsed());
            let outcome = outcome.unwrap_or_else(|_| panic!("{name} {index}: a panic"));
            read += u64::from(outcome.is_ok());
            let taken = PEAK.get() - before;
            worst = worst.max(taken);
            // A deflated byte may stand for 1032, which become numbers of up to four times the size beside the original.
            let allowed = (1 << 20) + 8 * 1032 * content.len() as isize;
            assert!(taken <= allowed, "{name} {index}: {taken} bytes for a file of {}", content.len());
        }
        println!("{name}: {count} damaged files, {read} read, at most {worst} bytes and {slowest:?} each");
        assert!(slowest < Duration::from_secs(5), "{name}: {slowest:?}");
    }
}

#[test]
fn damaged_files_of_every_format_are_survived() {
    survive(300);
}

#[test]
#[ignore = "60 000 files take a while"]
fn thousands_of_damaged_files_of_every_format_are_survived() {
    survive(5000);
}

/// A message of protocol buffers: fields of bytes.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut raw = Vec::new();
    for &(number, content) in fields {
        raw.push(number << 3 | 2);
        let mut length = content.len();
        while length >= 0x80 {
            raw.push(length as u8 | 0x80);
            length >>= 7;
        }
        raw.push(length as u8);
        raw.extend(content);
    }
    raw
}

#[test]
fn a_graph_that_doubles_a_constant_forty_times_is_refused() {
    let mut graph: Vec<(u8, Vec<u8>)> = Vec::new();
    let ints: Vec<u8> = message(&[(1, &[16]), (7, &[1; 16]), (8, b"c0")]).into_iter().chain([0x10, 7]).collect();
    graph.push((5, ints));
    for step in 0..40 {
        let (from, to) = (format!("c{step}"), format!("c{}", step + 1));
        graph.push((1, message(&[(1, from.as_bytes()), (1, from.as_bytes()), (2, to.as_bytes()), (4, b"Concat")])));
    }
    let dimensions = message(&[(1, &[0x08, 1]), (1, &[0x08, 4])]);
    let shape = message(&[(1, &message(&[(2, &dimensions)]))]);
    graph.push((11, message(&[(1, b"x"), (2, &shape)])));
    graph.push((12, message(&[(1, b"c40")])));
    let fields: Vec<(u8, &[u8])> = graph.iter().map(|(number, content)| (*number, content.as_slice())).collect();
    let mut model = vec![0x08, 8];
    model.extend(message(&[(7, &message(&fields))]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("doubling.onnx");
    std::fs::write(&path, &model).unwrap();
    let before = HELD.get();
    PEAK.set(before);
    let error = files::import_with_graph(&path).unwrap_err().to_string();
    assert!(error.contains("repeats constants"), "{error}");
    assert!(PEAK.get() - before < 8 << 20, "{} bytes", PEAK.get() - before);
}

/// What reading a file of these bytes says.
fn complaint(raw: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.pt");
    std::fs::write(&path, raw).unwrap();
    let before = HELD.get();
    PEAK.set(before);
    let error = files::read(&path).unwrap_err().to_string();
    // An opcode of one byte makes an object of several dozen.
    let allowed = (1 << 20) + 100 * raw.len() as isize;
    assert!(PEAK.get() - before < allowed, "{} bytes for a file of {}", PEAK.get() - before, raw.len());
    error
}

/// A legacy stream of `torch.save` with this pickle as its object.
fn legacy(object: &[u8]) -> Vec<u8> {
    let mut raw = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    raw.extend(b"\x80\x02}q\x00X\x0d\x00\x00\x00little_endianq\x01\x88s.");
    raw.extend(object);
    raw.extend(b"\x80\x02]q\x00.");
    raw
}

#[test]
fn a_pickle_that_calls_a_function_calls_nothing() {
    let mark = tempfile::tempdir().unwrap().path().join("mark");
    let command = format!("touch {}", mark.display());
    let mut call = b"\x80\x02cposix\nsystem\nX".to_vec();
    call.extend((command.len() as u32).to_le_bytes());
    call.extend(command.as_bytes());
    call.extend(b"\x85R.");
    for raw in [call.clone(), legacy(&call)] {
        let error = complaint(&raw);
        assert!(error.contains("hostile.pt` (PyTorch)") || error.contains("is damaged as PyTorch"), "{error}");
    }
    assert!(!mark.exists());
}

#[test]
fn pickles_that_lie_are_refused() {
    for (what, object) in [
        ("a list within itself", &b"\x80\x02]q\x00h\x00a."[..]),
        ("a dictionary within itself", b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01h\x00s."),
        ("a text of four gigabytes", b"\x80\x02X\xff\xff\xff\xffabc."),
        ("bytes of eight exabytes", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc."),
        ("an unknown opcode", b"\x80\x02\xf7."),
        ("an empty stack", b"\x80\x020000."),
        ("a memo that was never written", b"\x80\x02h\x63."),
    ] {
        for raw in [object.to_vec(), legacy(object)] {
            let error = complaint(&raw);
            assert!(error.contains("PyTorch"), "{what}: {error}");
        }
    }
    let nested = [&b"\x80\x02"[..], &b"(".repeat(200_000), &b"t".repeat(200_000), b"."].concat();
    complaint(&nested);
    complaint(&legacy(&[&b"\x80\x02"[..], &b"]".repeat(100_000), &b"a".repeat(99_999), b"."].concat()));
}
