//! The NVIDIA driver, which is looked for when it is first needed, and NVRTC, which compiles the kernels for the GPU that is there.
//!
//! Compiled kernels are kept in a folder of this machine, by a hash of the sources, the compiler's version and options, and the
//! architecture; a file whose contents are not those that were written is compiled again.
#![expect(unsafe_code, reason = "the driver's interface is one of addresses")]

use std::ffi::{CString, c_int, c_void};
use std::fs;
use std::path::Path;

use cudarc::driver::result as cuda;
use cudarc::driver::sys as driver_sys;
use cudarc::nvrtc::result as nvrtc;
use cudarc::nvrtc::sys as nvrtc_sys;
use thiserror::Error;

use super::super::DeviceError;
use super::driver::{Argument, Driver, Memory};
use super::kernels::{self, Kernel, THREADS};

/// Why there is no GPU to compute on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Missing {
    /// No driver's library.
    #[error("no NVIDIA driver is installed (the library `libcuda` is not found); install one, or compute on the CPU")]
    Driver,
    /// A driver that does not start.
    #[error("the NVIDIA driver does not start: {0}; see whether `nvidia-smi` lists a GPU, or compute on the CPU")]
    Start(String),
    /// No compiler's library.
    #[error(
        "NVRTC, which compiles kernels, is not found (the library `libnvrtc`); install it, for example with `pip install \
         nvidia-cuda-nvrtc`, and put its folder on LD_LIBRARY_PATH"
    )]
    Compiler,
    /// No GPU of that number.
    #[error("there is no GPU number {ordinal}, but {count} in all; see `duress devices`")]
    Ordinal {
        /// The number, from 0.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },
    /// A GPU that the compiler knows nothing of.
    #[error("this NVRTC compiles for nothing as old as compute capability {0}; install an older NVRTC, which does")]
    Architecture(String),
    /// Kernels that do not compile.
    #[error("the kernels do not compile: {0}; report this with the output of `duress devices`")]
    Compile(String),
    /// Anything else.
    #[error("failed to {doing}: {cause}; see whether other programs can use the GPU, or compute on the CPU")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What the driver says.
        cause: String,
    },
}

/// A GPU that the driver knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number, from 0.
    pub ordinal: usize,
    /// What it is called.
    pub name: String,
    /// Its compute capability, such as `9.0`.
    pub capability: String,
    /// All of its memory, in bytes.
    pub memory: usize,
    /// What kernels are compiled to for it: machine code such as `sm_90`, or such as `compute_90` what its driver translates.
    pub target: Result<String, Missing>,
}

/// What there is to compute on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The newest CUDA version that the driver knows, such as `13.0`.
    pub driver: Result<String, Missing>,
    /// The version of NVRTC.
    pub compiler: Result<String, Missing>,
    /// The GPUs.
    pub devices: Result<Vec<Found>, Missing>,
}

/// Looks for driver, compiler and GPUs; nothing is started on any of them.
#[must_use]
pub fn survey() -> Survey {
    Survey {
        driver: driver_version(),
        compiler: compiler_version().map(|[a, b]| format!("{a}.{b}")),
        devices: devices(),
    }
}

/// What the driver says of a failure.
fn says(error: cuda::DriverError) -> String {
    let text = error.error_string().ok().map(|text| text.to_string_lossy().into_owned());
    text.unwrap_or_else(|| format!("error {}", error.0 as u32))
}

fn failed(doing: &'static str) -> impl Fn(cuda::DriverError) -> Missing {
    move |error| Missing::Failed { doing, cause: says(error) }
}

fn broken(doing: &'static str) -> impl Fn(cuda::DriverError) -> DeviceError {
    move |error| DeviceError::Failed { doing, cause: says(error) }
}

/// Starts the driver, once.
fn start() -> Result<(), Missing> {
    // SAFETY: a library is opened by its usual name; the driver's own code runs, as in every program that uses it.
    if !unsafe { driver_sys::is_culib_present() } {
        return Err(Missing::Driver);
    }
    cuda::init().map_err(|error| Missing::Start(says(error)))
}

fn driver_version() -> Result<String, Missing> {
    start()?;
    let mut version: c_int = 0;
    // SAFETY: the driver writes one number.
    unsafe { driver_sys::cuDriverGetVersion(&raw mut version) }
        .result()
        .map_err(failed("ask for the driver's version"))?;
    Ok(format!("{}.{}", version / 1000, version % 1000 / 10))
}

fn compiler_version() -> Result<[c_int; 2], Missing> {
    // SAFETY: as in `start`.
    if !unsafe { nvrtc_sys::is_culib_present() } {
        return Err(Missing::Compiler);
    }
    let mut version: [c_int; 2] = [0; 2];
    let [major, minor] = &mut version;
    // SAFETY: NVRTC writes two numbers.
    let done = unsafe { nvrtc_sys::nvrtcVersion(major, minor) }.result();
    done.map_err(|error| Missing::Failed { doing: "ask for the version of NVRTC", cause: error.to_string() })?;
    Ok(version)
}

fn devices() -> Result<Vec<Found>, Missing> {
    start()?;
    let count = cuda::device::get_count().map_err(failed("count the GPUs"))?;
    (0..count).map(found).collect()
}

fn found(ordinal: c_int) -> Result<Found, Missing> {
    let device = cuda::device::get(ordinal).map_err(failed("find the GPU"))?;
    let name = cuda::device::get_name(device).map_err(failed("ask for the GPU's name"))?;
    // SAFETY: the device was just given by the driver.
    let memory = unsafe { cuda::device::total_mem(device) }.map_err(failed("ask for the GPU's memory"))?;
    let [major, minor] = capability(device)?;
    let target = target([major, minor]).map(|(target, _)| target);
    Ok(Found { ordinal: ordinal as usize, name, capability: format!("{major}.{minor}"), memory, target })
}

fn capability(device: driver_sys::CUdevice) -> Result<[c_int; 2], Missing> {
    use driver_sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    // SAFETY: the device was given by the driver.
    let ask = |attribute| unsafe { cuda::device::get_attribute(device, attribute) };
    let doing = "ask for the GPU's compute capability";
    Ok([ask(MAJOR).map_err(failed(doing))?, ask(MINOR).map_err(failed(doing))?])
}

/// A GPU with the kernels loaded.
#[derive(Debug)]
pub(super) struct Nvidia {
    context: driver_sys::CUcontext,
    functions: Vec<driver_sys::CUfunction>,
}

// SAFETY: context and functions are handles that the driver lets any thread use; each call here first makes the context that of its
// thread.
unsafe impl Send for Nvidia {}
// SAFETY: as above; the driver serialises calls itself.
unsafe impl Sync for Nvidia {}

impl Nvidia {
    pub(super) fn open(ordinal: usize, folder: Option<&Path>) -> Result<Self, Missing> {
        start()?;
        let count = cuda::device::get_count().map_err(failed("count the GPUs"))? as usize;
        if ordinal >= count {
            return Err(Missing::Ordinal { ordinal, count });
        }
        let device = cuda::device::get(ordinal as c_int).map_err(failed("find the GPU"))?;
        let mut image = image(capability(device)?, folder)?;
        // SAFETY: the device was given by the driver; its primary context is shared with whoever else uses it, and kept until the process
        // ends.
        let context = unsafe { cuda::primary_ctx::retain(device) }.map_err(failed("make a context on the GPU"))?;
        // SAFETY: the context was just given by the driver.
        unsafe { cuda::ctx::set_current(context) }.map_err(failed("use the GPU's context"))?;
        image.push(0);
        // SAFETY: the image is what NVRTC compiled, and ends in a zero byte in case it is text.
        let module =
            unsafe { cuda::module::load_data(image.as_ptr().cast()) }.map_err(failed("load the kernels on the GPU"))?;
        let function = |kernel: &Kernel| {
            let name = CString::new(format!("duress_{}", kernel.name())).expect("names of kernels have no zero byte");
            // SAFETY: the module was just loaded, and stays so.
            unsafe { cuda::module::get_function(module, name) }.map_err(failed("find a kernel in what was compiled"))
        };
        Ok(Self { context, functions: Kernel::ALL.iter().map(function).collect::<Result<_, _>>()? })
    }

    fn current(&self) -> Result<(), DeviceError> {
        // SAFETY: the context is kept as long as this.
        unsafe { cuda::ctx::set_current(self.context) }.map_err(broken("use the GPU's context"))
    }
}

impl Driver for Nvidia {
    fn allocate(&self, bytes: usize) -> Result<u64, DeviceError> {
        self.current()?;
        // SAFETY: any size may be asked for.
        unsafe { cuda::malloc_sync(bytes) }.map_err(|error| {
            if error.0 == driver_sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
                let memory = self.memory().unwrap_or(Memory { free: 0, total: 0 });
                DeviceError::OutOfMemory { wanted: bytes, free: memory.free, total: memory.total }
            } else {
                broken("allocate memory")(error)
            }
        })
    }

    unsafe fn free(&self, address: u64) {
        if self.current().is_ok() {
            // SAFETY: the caller vouches for the address. Memory that cannot be given back is lost until the process ends.
            let _ = unsafe { cuda::free_sync(address) };
        }
    }

    unsafe fn write(&self, from: &[f32], to: u64) -> Result<(), DeviceError> {
        self.current()?;
        // SAFETY: the caller vouches for the room.
        unsafe { cuda::memcpy_htod_sync(to, from) }.map_err(broken("copy numbers to the GPU"))
    }

    unsafe fn read(&self, from: u64, to: &mut [f32]) -> Result<(), DeviceError> {
        self.current()?;
        // SAFETY: the caller vouches for the numbers.
        unsafe { cuda::memcpy_dtoh_sync(to, from) }.map_err(broken("copy numbers from the GPU"))
    }

    fn memory(&self) -> Result<Memory, DeviceError> {
        self.current()?;
        let (free, total) = cuda::mem_get_info().map_err(broken("ask for the GPU's free memory"))?;
        Ok(Memory { free, total })
    }

    unsafe fn launch(&self, kernel: Kernel, blocks: u32, arguments: &[Argument]) -> Result<(), DeviceError> {
        self.current()?;
        let place = |argument: &Argument| -> *mut c_void {
            match argument {
                Argument::Address(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Argument::Integer(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Argument::Single(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Argument::Double(value) => std::ptr::from_ref(value).cast_mut().cast(),
            }
        };
        let mut places: Vec<*mut c_void> = arguments.iter().map(place).collect();
        let (function, stream) = (self.functions[kernel as usize], std::ptr::null_mut());
        // SAFETY: the caller vouches for the arguments, which the driver copies before it returns. The default stream orders the
        // kernels of all threads with each other and with copies.
        unsafe { cuda::launch_kernel(function, (blocks, 1, 1), (THREADS as u32, 1, 1), 0, stream, &mut places) }
            .map_err(broken("start a kernel"))
    }
}

/// Options besides the architecture: what is not written as one step is not made one.
const OPTIONS: [&str; 2] = ["--fmad=false", "--std=c++17"];

/// What kernels are compiled to for a GPU of that compute capability, and whether it is machine code.
fn target([major, minor]: [c_int; 2]) -> Result<(String, bool), Missing> {
    compiler_version()?;
    let own = 10 * major + minor;
    let best = architectures()?.into_iter().filter(|&known| known <= own).max();
    let best = best.ok_or_else(|| Missing::Architecture(format!("{major}.{minor}")))?;
    // For the GPU itself machine code, which needs no newer driver; else what the driver translates.
    let machine = best == own;
    Ok((if machine { format!("sm_{own}") } else { format!("compute_{best}") }, machine))
}

/// The kernels compiled for a GPU, from the folder where they are kept.
fn image(capability: [c_int; 2], folder: Option<&Path>) -> Result<Vec<u8>, Missing> {
    let version = compiler_version()?;
    let (architecture, machine) = target(capability)?;
    let source = kernels::source();
    let parts = [&source, &OPTIONS.join(" "), &format!("{version:?}"), &architecture];
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let path = folder.map(|folder| folder.join(format!("{}.kernels", &hasher.finalize().to_hex()[..32])));
    if let Some(image) = path.as_deref().and_then(kept) {
        return Ok(image);
    }
    let image = compile(&source, &architecture, machine)?;
    if let Some(path) = &path {
        // Who cannot keep them compiles them again.
        let _ = keep(path, &image);
    }
    Ok(image)
}

/// What is kept at `path`, if it is what was written.
fn kept(path: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(path).ok()?;
    let (hash, image) = bytes.split_at_checked(blake3::OUT_LEN)?;
    (blake3::hash(image).as_bytes() == hash).then(|| image.to_vec())
}

fn keep(path: &Path, image: &[u8]) -> std::io::Result<()> {
    let own = path.with_extension(std::process::id().to_string());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&own, [blake3::hash(image).as_bytes(), image].concat())?;
    fs::rename(&own, path)
}

/// The architectures that NVRTC compiles for, such as 90.
fn architectures() -> Result<Vec<c_int>, Missing> {
    let fail = |error: nvrtc::NvrtcError| Missing::Failed {
        doing: "ask NVRTC what it compiles for",
        cause: error.to_string(),
    };
    let mut count: c_int = 0;
    // SAFETY: NVRTC was found; it writes one number.
    unsafe { nvrtc_sys::nvrtcGetNumSupportedArchs(&raw mut count) }.result().map_err(fail)?;
    let mut all = vec![0; count.max(0) as usize];
    // SAFETY: there is room for as many numbers as it just said.
    unsafe { nvrtc_sys::nvrtcGetSupportedArchs(all.as_mut_ptr()) }.result().map_err(fail)?;
    Ok(all)
}

/// Compiles the kernels to machine code, or to PTX.
fn compile(source: &str, architecture: &str, machine: bool) -> Result<Vec<u8>, Missing> {
    let fail = |error: nvrtc::NvrtcError| Missing::Compile(error.to_string());
    let text = CString::new(source).expect("sources have no zero byte");
    let program = nvrtc::create_program(&text, Some(c"duress.cu")).map_err(fail)?;
    let options: Vec<String> =
        OPTIONS.iter().map(|&option| option.to_owned()).chain([format!("--gpu-architecture={architecture}")]).collect();
    // SAFETY: the program was just made, and is destroyed only below.
    let compiled = unsafe {
        match nvrtc::compile_program(program, &options) {
            Ok(()) => output(program, machine).map_err(fail),
            Err(error) => {
                let log = nvrtc::get_program_log(program).unwrap_or_default();
                let log: Vec<u8> = log.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
                Err(Missing::Compile(format!("{error}: {}", String::from_utf8_lossy(&log))))
            }
        }
    };
    // SAFETY: the program is not used again.
    unsafe { nvrtc::destroy_program(program) }.map_err(fail)?;
    compiled
}

/// What a program was compiled to.
///
/// # Safety
/// The program was compiled, and not destroyed.
unsafe fn output(program: nvrtc_sys::nvrtcProgram, machine: bool) -> Result<Vec<u8>, nvrtc::NvrtcError> {
    if !machine {
        // SAFETY: as the caller says.
        return unsafe { nvrtc::get_ptx(program) }.map(|text| text.into_iter().map(|c| c as u8).collect());
    }
    let mut size = 0;
    // SAFETY: as the caller says; NVRTC writes one number.
    unsafe { nvrtc_sys::nvrtcGetCUBINSize(program, &raw mut size) }.result()?;
    let mut image = vec![0u8; size];
    // SAFETY: there is room for as many bytes as it just said.
    unsafe { nvrtc_sys::nvrtcGetCUBIN(program, image.as_mut_ptr().cast()) }.result()?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_kernels_are_kept_and_damaged_ones_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper").join("a.kernels");
        assert_eq!(kept(&path), None);
        keep(&path, b"image").unwrap();
        assert_eq!(kept(&path).as_deref(), Some(&b"image"[..]));
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(kept(&path), None);
        fs::write(&path, b"short").unwrap();
        assert_eq!(kept(&path), None);
    }

    #[test]
    fn kernels_compile_where_nvrtc_is_installed() {
        if let Err(missing) = compiler_version() {
            return println!("skipped: {missing}");
        }
        let folder = tempfile::tempdir().unwrap();
        let first = image([8, 0], Some(folder.path())).unwrap();
        assert!(first.starts_with(b"\x7fELF"), "machine code for an architecture that NVRTC knows");
        assert_eq!(image([8, 0], Some(folder.path())), Ok(first));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // Newer than all: what the driver translates.
        let text = image([99, 0], None).unwrap();
        assert!(String::from_utf8_lossy(&text).contains(".visible .entry duress_product("));
        assert!(matches!(image([1, 0], None), Err(Missing::Architecture(_))));
    }
}
