//! The kernels on the machine's processor, for tests: the same sources, compiled by its C++ compiler.
//!
//! Blocks run one after the other. The threads of a block that meet are fibres, each with a stack of its own; the others are a loop.
//! New memory is NaN, and has margins that are looked at whenever it is read or given back.
#![expect(unsafe_code, reason = "a shared library is called")]

use std::collections::BTreeMap;
use std::ffi::{c_int, c_uchar, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use libloading::Library;
use thiserror::Error;

use super::super::DeviceError;
use super::driver::{Argument, Driver, Memory};
use super::kernels::{self, Kernel};

/// Stands before the kernels: what CUDA has and C++ has not.
const BEFORE: &str = include_str!("host/before.h");
/// Stands behind them: how blocks are run.
const BEHIND: &str = include_str!("host/behind.h");
/// Compilers that are looked for.
const COMPILERS: [&str; 3] = ["c++", "g++", "clang++"];
/// Numbers before and behind a buffer that nobody may touch.
const MARGIN: usize = 64;
/// What is in there.
const UNTOUCHED: u32 = 0x7fc0_dead;

type Launch = unsafe extern "C" fn(*const *const c_void, *const c_uchar, i64, i64) -> c_int;

/// Why the kernels cannot be run on this machine's processor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoHost {
    /// There is nothing to compile them with.
    #[error("no C++ compiler ({}) is installed; install one to run the GPU's kernels in tests", COMPILERS.join(", "))]
    NoCompiler,
    /// They do not compile, or what was compiled cannot be used.
    #[error("failed to {0}; mend the kernels")]
    Failed(String),
}

/// The processor as a CUDA device.
#[derive(Debug)]
pub(super) struct Host {
    _library: Library,
    launches: Vec<Launch>,
    /// Bytes that may be allocated.
    limit: usize,
    /// What is allocated, margins included, by the address between them.
    memory: Mutex<BTreeMap<u64, Vec<u32>>>,
}

impl Host {
    /// Compiles the kernels into `folder`, unless they are there.
    pub(super) fn new(folder: &Path, limit: usize) -> Result<Self, NoHost> {
        let path = compiled(folder)?;
        // SAFETY: the library is what was compiled from the sources here; loading it runs no code of theirs.
        let library = unsafe { Library::new(&path) }.map_err(|error| failed("load the compiled kernels", &error))?;
        let launch = |kernel: &Kernel| {
            let name = format!("launch_{}", kernel.name());
            // SAFETY: `behind.h` gives every launcher this type, and the library is kept as long as its functions.
            unsafe { library.get::<Launch>(name.as_bytes()) }.map(|f| *f).map_err(|e| failed("find a kernel", &e))
        };
        let launches = Kernel::ALL.iter().map(launch).collect::<Result<_, _>>()?;
        Ok(Self { _library: library, launches, limit, memory: Mutex::default() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Vec<u32>>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One source for a C++ compiler.
fn source() -> String {
    let launcher = |kernel: &Kernel| {
        let (name, meets) = (kernel.name(), kernel.meets());
        format!(
            "extern \"C\" int launch_{name}(void** a, const unsigned char* t, i64 n, i64 blocks) {{ return launch(duress_{name}, a, t, n, blocks, {meets}); }}\n"
        )
    };
    let launchers: String = Kernel::ALL.iter().map(launcher).collect();
    [BEFORE, &kernels::source(), BEHIND, &launchers].concat()
}

/// Where the compiled kernels are.
fn compiled(folder: &Path) -> Result<PathBuf, NoHost> {
    let source = source();
    let name = format!("duress-kernels-{}", &blake3::hash(source.as_bytes()).to_hex()[..16]);
    let library = folder.join(format!("{name}.so"));
    if library.exists() {
        return Ok(library);
    }
    let own = format!("{name}-{}", std::process::id());
    let (text, made) = (folder.join(format!("{own}.cpp")), folder.join(format!("{own}.so")));
    fs::create_dir_all(folder).and_then(|()| fs::write(&text, source)).map_err(|e| failed("write the kernels", &e))?;
    let native = if cfg!(target_arch = "x86_64") { &["-march=native"][..] } else { &[] };
    let options = ["-std=c++17", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC", "-shared", "-w", "-o"];
    let run = |compiler: &str| Command::new(compiler).args(native).args(options).arg(&made).arg(&text).output().ok();
    let output = COMPILERS.iter().find_map(|compiler| run(compiler));
    let output = output.ok_or(NoHost::NoCompiler)?;
    if !output.status.success() {
        return Err(failed("compile the kernels", &String::from_utf8_lossy(&output.stderr)));
    }
    fs::rename(&made, &library).map_err(|e| failed("keep the compiled kernels", &e))?;
    let _ = fs::remove_file(&text);
    Ok(library)
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> NoHost {
    NoHost::Failed(format!("{what}: {error}"))
}

fn untouched(memory: &[u32]) -> bool {
    let (before, rest) = memory.split_at(MARGIN);
    before.iter().chain(&rest[rest.len() - MARGIN..]).all(|&word| word == UNTOUCHED)
}

impl Driver for Host {
    fn allocate(&self, bytes: usize) -> Result<u64, DeviceError> {
        let mut all = self.lock();
        let used: usize = all.values().map(|memory| 4 * (memory.len() - 2 * MARGIN)).sum();
        if used + bytes > self.limit {
            let free = self.limit.saturating_sub(used);
            return Err(DeviceError::OutOfMemory { wanted: bytes, free, total: self.limit });
        }
        let len = bytes.div_ceil(4);
        let mut memory = vec![UNTOUCHED; len + 2 * MARGIN];
        memory[MARGIN..MARGIN + len].fill(u32::MAX);
        let address = memory[MARGIN..].as_ptr() as u64;
        all.insert(address, memory);
        drop(all);
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        let memory = self.lock().remove(&address);
        assert!(
            memory.is_some_and(|memory| untouched(&memory)),
            "memory is given back once, with its margins as they were"
        );
    }

    unsafe fn write(&self, from: &[f32], to: u64) -> Result<(), DeviceError> {
        // SAFETY: the caller vouches for the room.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to as *mut f32, from.len()) };
        Ok(())
    }

    unsafe fn read(&self, from: u64, to: &mut [f32]) -> Result<(), DeviceError> {
        assert!(self.lock().get(&from).is_some_and(|memory| untouched(memory)), "no kernel wrote beside what is read");
        // SAFETY: the caller vouches for the numbers.
        unsafe { std::ptr::copy_nonoverlapping(from as *const f32, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    fn memory(&self) -> Result<Memory, DeviceError> {
        let used: usize = self.lock().values().map(|memory| 4 * (memory.len() - 2 * MARGIN)).sum();
        Ok(Memory { free: self.limit.saturating_sub(used), total: self.limit })
    }

    unsafe fn launch(&self, kernel: Kernel, blocks: u32, arguments: &[Argument]) -> Result<(), DeviceError> {
        let pointers: Vec<*const c_void> = arguments.iter().map(place).collect();
        let types: Vec<c_uchar> = arguments.iter().map(|argument| code(*argument)).collect();
        // SAFETY: the launcher checks number and types of the arguments; the caller vouches for where they lead.
        let wrong = unsafe {
            self.launches[kernel as usize](pointers.as_ptr(), types.as_ptr(), arguments.len() as i64, blocks.into())
        };
        assert_eq!(wrong, 0, "the arguments are those of `{}`: argument {wrong} is not", kernel.name());
        Ok(())
    }
}

/// Where the value of an argument is.
fn place(argument: &Argument) -> *const c_void {
    match argument {
        Argument::Address(value) => std::ptr::from_ref(value).cast(),
        Argument::Integer(value) => std::ptr::from_ref(value).cast(),
        Argument::Single(value) => std::ptr::from_ref(value).cast(),
        Argument::Double(value) => std::ptr::from_ref(value).cast(),
    }
}

/// The number of an argument's type in `behind.h`.
const fn code(argument: Argument) -> c_uchar {
    match argument {
        Argument::Address(_) => 0,
        Argument::Integer(_) => 1,
        Argument::Single(_) => 2,
        Argument::Double(_) => 3,
    }
}
