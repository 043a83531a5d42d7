// A CUDA driver that runs the kernels on this machine's processor, so that the calls of a real one can be tested without a GPU: see
// fake_driver.sh. It knows one GPU of 4 GB and compute capability 8.0, takes any module for that of the kernels, and does everything at
// once.
#include "host/before.h"

// All sources, in the order of kernels.rs.
#include "sources.h"

#include "host/behind.h"

#include <cstring>
#include <map>
#include <mutex>

typedef int Result;
typedef unsigned long long Address;
enum { SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, NOT_STARTED = 3, NO_DEVICE = 101, NO_CONTEXT = 201, NOT_FOUND = 500 };

static const size_t TOTAL = 4ull << 30;
static std::mutex mutex;
static std::map<Address, size_t> memory;
static size_t used;
static bool started;
static int context, image;
static thread_local void* current;

struct Function {
    const char* name;
    int (*launch)(void**, i64);
};

// Arguments come without their types, as in CUDA.
template <class... A> static int call(void (*kernel)(A...), void** arguments, i64 blocks, bool meets) {
    static const unsigned char types[] = {(unsigned char)Type<A>::number...};
    return launch(kernel, arguments, types, sizeof...(A), blocks, meets);
}

static Function functions[] = {
#define LISTED(name, meets) \
    {"duress_" #name, [](void** arguments, i64 blocks) { return call(duress_##name, arguments, blocks, meets); }},
#include "listed.h"
};

// Whether `length` bytes from `at` on lie in one piece of memory that was allocated.
static bool allocated(Address at, size_t length) {
    std::lock_guard<std::mutex> lock(mutex);
    auto next = memory.upper_bound(at);
    if (next == memory.begin()) return false;
    auto own = std::prev(next);
    return at + length <= own->first + own->second;
}

extern "C" {
Result cuInit(unsigned flags) {
    started = flags == 0;
    return started ? SUCCESS : INVALID;
}
Result cuDriverGetVersion(int* version) { return *version = 13000, SUCCESS; }
Result cuDeviceGetCount(int* count) { return *count = 1, started ? SUCCESS : NOT_STARTED; }
Result cuDeviceGet(int* device, int ordinal) { return *device = 7 + ordinal, ordinal == 0 ? SUCCESS : NO_DEVICE; }
Result cuDeviceGetName(char* name, int length, int device) {
    return strncpy(name, "a processor in disguise", length), device == 7 ? SUCCESS : NO_DEVICE;
}
Result cuDeviceTotalMem_v2(size_t* bytes, int device) { return *bytes = TOTAL, device == 7 ? SUCCESS : NO_DEVICE; }
Result cuDeviceGetAttribute(int* value, int attribute, int device) {
    // Major and minor part of the compute capability.
    if (device != 7 || (attribute != 75 && attribute != 76)) return INVALID;
    return *value = attribute == 75 ? 8 : 0, SUCCESS;
}
Result cuDevicePrimaryCtxRetain(void** to, int device) { return *to = &context, device == 7 ? SUCCESS : NO_DEVICE; }
Result cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
Result cuCtxSetCurrent(void* to) { return current = to, to == &context ? SUCCESS : NO_CONTEXT; }
Result cuMemGetInfo_v2(size_t* free, size_t* total) {
    std::lock_guard<std::mutex> lock(mutex);
    return *free = TOTAL - used, *total = TOTAL, current ? SUCCESS : NO_CONTEXT;
}
Result cuMemAlloc_v2(Address* address, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    if (!current) return NO_CONTEXT;
    if (used + bytes > TOTAL) return OUT_OF_MEMORY;
    void* made = malloc(bytes);
    memset(made, 0xff, bytes);
    *address = (Address)made;
    memory[*address] = bytes;
    used += bytes;
    return SUCCESS;
}
Result cuMemFree_v2(Address address) {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = memory.find(address);
    if (!current || found == memory.end()) return INVALID;
    used -= found->second;
    memory.erase(found);
    free((void*)address);
    return SUCCESS;
}
Result cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    if (!current || !allocated(to, bytes)) return INVALID;
    return memcpy((void*)to, from, bytes), SUCCESS;
}
Result cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    if (!current || !allocated(from, bytes)) return INVALID;
    return memcpy(to, (const void*)from, bytes), SUCCESS;
}
Result cuModuleLoadData(void** module, const void* data) {
    // Machine code for a GPU is an ELF file, and its number for CUDA.
    const unsigned char* elf = (const unsigned char*)data;
    if (!current || memcmp(elf, "\x7f" "ELF", 4) || elf[18] != 190) return INVALID;
    return *module = &image, SUCCESS;
}
Result cuModuleGetFunction(void** function, void* module, const char* name) {
    for (Function& one : functions)
        if (module == &image && !strcmp(one.name, name)) return *function = &one, SUCCESS;
    return NOT_FOUND;
}
Result cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty, unsigned tz, unsigned shared,
                      void* stream, void** arguments, void** extra) {
    if (!current || y != 1 || z != 1 || tx != THREADS || ty != 1 || tz != 1 || shared || stream || extra) return INVALID;
    return ((Function*)function)->launch(arguments, x) ? INVALID : SUCCESS;
}
// NVRTC asks for it where there is a driver.
Result cuGetExportTable(const void** table, const void*) { return *table = 0, NOT_FOUND; }
Result cuGetErrorName(Result, const char** text) { return *text = "an error", SUCCESS; }
Result cuGetErrorString(Result, const char** text) { return *text = "what the fake driver does not do", SUCCESS; }
}
